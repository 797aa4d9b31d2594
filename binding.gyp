# node-gyp's build file: the shipped addon and, for `npm test`, the C++ unit tests. The lists of
# sources come from scripts/native-sources.mjs, which CMakeLists.txt asks too.
{
  'variables': {
    # The sources of the tests are not in the npm package: there the target does not exist.
    'stmqtt_tests%': '<!(node scripts/native-sources.mjs has-tests)',
    'stmqtt_werror%': 'false',
  },
  'target_defaults': {
    'default_configuration': 'Release',
    'include_dirs': [ 'native' ],
    'cflags!': [ '-Wno-unused-parameter' ],
    # Node's common.gypi has its own standard and flags; ours must not depend on which Node builds.
    'cflags_cc!': [ '-std=gnu++17', '-std=gnu++20', '-std=c++17', '-fexceptions', '-frtti' ],
    'cflags_cc': [ '-std=c++20', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden',
                   '-fvisibility-inlines-hidden', '-fPIC', '-pthread', '-Wall', '-Wextra' ],
    'ldflags': [ '-pthread', '-static-libstdc++', '-static-libgcc' ],
    # dlsym, for C libraries older than glibc 2.34.
    'libraries': [ '-ldl' ],
    'configurations': {
      'Release': { 'cflags!': [ '-O2' ], 'cflags_cc!': [ '-O2' ], 'cflags_cc': [ '-O3' ] },
      'Debug': { 'cflags_cc!': [ '-O3' ], 'cflags_cc': [ '-O0', '-g' ], 'defines': [ 'STMQTT_DEBUG=1' ] },
    },
    'conditions': [
      [ 'stmqtt_werror=="true"', { 'cflags_cc': [ '-Werror' ] } ],
    ],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++20',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'NO',
      'GCC_ENABLE_CPP_RTTI': 'NO',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
    },
  },
  'targets': [
    {
      'target_name': 'st_mqttd_core',
      'type': 'static_library',
      'sources': [ '<!@(node scripts/native-sources.mjs core)' ],
    },
    {
      'target_name': 'st_mqttd',
      'dependencies': [ 'st_mqttd_core' ],
      'sources': [ '<!@(node scripts/native-sources.mjs addon)' ],
      'ldflags': [ '-Wl,--version-script=<(module_root_dir)/native/addon/exports.map' ],
      'include_dirs': [
        "<!(node -p \"require('node-api-headers').include_dir\")",
        "<!(node -p \"require('node-addon-api').include_dir\")",
      ],
      'defines': [
        'NAPI_VERSION=8',
        'NAPI_DISABLE_CPP_EXCEPTIONS=1',
        # A worker thread that is terminated may call us once more: without this, Node-API's
        # refusal would end the whole process.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS=1',
        "STMQTT_VERSION=\"<!(node -p \"require('./package.json').version\")\"",
      ],
    },
  ],
  'conditions': [
    [ 'stmqtt_tests=="true"', {
      'targets': [
        {
          'target_name': 'unit_tests',
          'type': 'executable',
          'dependencies': [ 'st_mqttd_core' ],
          'include_dirs': [ 'test/native' ],
          'sources': [ '<!@(node scripts/native-sources.mjs tests)' ],
          # The tests' own code is compiled often and runs once.
          'configurations': {
            'Release': { 'cflags_cc!': [ '-O3' ], 'cflags_cc': [ '-O1' ] },
          },
        },
      ],
    } ],
  ],
}
