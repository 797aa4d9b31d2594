// Asks the console for its listings, and prints how long each held the broker's loop, as the broker
// measures it.
import { once } from 'node:events';

const [url, sessions, rounds] = process.argv.slice(2);
const last = `device-${String(Number(sessions) - 1).padStart(8, '0')}`;
const listings = [
  '/api/v1/clients',
  '/api/v1/clients?limit=1000',
  `/api/v1/clients?limit=1000&clientid=${last}`,
  '/api/v1/clients?limit=1000&connected=true',
  '/api/v1/subscriptions?limit=1000',
  `/api/v1/routes/fleet%2F${last}%2Fcmd`,
  '/api/v1/retains?limit=1000',
  '/api/v1/stats',
  '/subscriptions',
  '/readyqueue',
];

for (const path of listings) {
  const times = [];
  for (let round = 0; round < Number(rounds); round++) {
    process.send('begin');
    await once(process, 'message');
    const answer = await fetch(url + path);
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    process.send('end');
    times.push((await once(process, 'message'))[0]);
  }
  console.log(`  ${path.padEnd(60)} ${times.map((ms) => ms.toFixed(1).padStart(5)).join(' ')}`);
}
process.disconnect();
