# Stands in for the common.gypi of Node's headers where the running Node has none beside it, so that
# a build downloads nothing: node-gyp reads it from npm_config_nodedir (scripts/native-build.mjs).
# Node-API's own headers come from the npm package node-api-headers.
{
  'target_defaults': {
    'default_configuration': 'Release',
    'configurations': {
      'Debug': { 'defines': [ 'DEBUG', '_DEBUG' ] },
      'Release': {},
    },
    'conditions': [
      [ 'OS=="linux" or OS=="freebsd" or OS=="openbsd"', {
        'cflags': [ '-pthread', '-Wall', '-Wextra' ],
        'ldflags': [ '-pthread' ],
      } ],
      [ 'OS=="mac"', {
        'xcode_settings': {
          'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
          'OTHER_LDFLAGS': [ '-Wl,-undefined,dynamic_lookup' ],
        },
      } ],
    ],
  },
}
