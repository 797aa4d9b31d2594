/** --help, through yargs: loaded only then, because it takes longer than the whole start. */
import yargs from 'yargs';
import { commands, flags } from './flags.js';

interface Flag {
  readonly short?: string;
  readonly takes?: string;
  readonly help: string;
}

export function helpText(): Promise<string> {
  const parser = yargs([])
    .scriptName('st-mqttd')
    .usage('$0 [-c FILE] [--listen HOST:PORT]… [-v…]\n\nAn MQTT 3.1, 3.1.1 and 5.0 broker.')
    .help(false)
    .version(false)
    .locale('en')
    .wrap(100)
    .example('$0', 'listen on this machine only (127.0.0.1:1883)')
    .example('$0 --listen 0.0.0.0:1883', 'listen on the network')
    .example('$0 check -c st-mqttd.toml', 'see what a file configures')
    .example('$0 import mosquitto.conf -o st-mqttd.toml', 'take over what mosquitto had')
    .epilogue(
      'Options of the file can be set in the environment too: mqtt.max_qos is ST_MQTTD_MQTT__MAX_QOS.',
    );
  for (const [command, help] of Object.entries(commands)) parser.command(command, help);
  for (const [name, flag] of Object.entries<Flag>(flags)) {
    parser.option(name, {
      describe: flag.takes === undefined ? flag.help : `${flag.takes}: ${flag.help}`,
      ...(flag.short === undefined ? {} : { alias: flag.short }),
    });
  }
  return parser.getHelp();
}
