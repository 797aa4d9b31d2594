// A connection beside MQTT by which one process tells the other how much has arrived: the running
// total, at most once per turn of the event loop.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export async function openPace() {
  const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const joined = once(server, 'connection').then(([socket]) => {
    server.close();
    return face(socket);
  });
  return { port: server.address().port, joined };
}

export async function joinPace(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return face(socket);
}

function face(socket) {
  socket.on('error', () => {}); // The other one has ended.
  let told = 0;
  let total = 0;
  let scheduled = false;
  const send = () => {
    scheduled = false;
    if (total === told) return;
    told = total;
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(total);
    socket.write(bytes);
  };
  return {
    tell(count) {
      total = count;
      if (scheduled) return;
      scheduled = true;
      setImmediate(send);
    },
    /** Calls `onTotal` with the latest total of the other side. */
    listen(onTotal) {
      let rest = Buffer.alloc(0);
      socket.on('data', (data) => {
        const all = rest.length === 0 ? data : Buffer.concat([rest, data]);
        const whole = all.length - (all.length % 8);
        rest = all.subarray(whole);
        if (whole > 0) onTotal(all.readDoubleLE(whole - 8));
      });
    },
    close: () => socket.destroy(),
  };
}
