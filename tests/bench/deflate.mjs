// What permessage-deflate costs and saves: the same changes to subscribers with and without it, alternating on one edge.
//   node tests/bench/deflate.mjs [ROUNDS]      (default 3; build/release)
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

process.env.PGTIDE_TEST_BUILD_DIR ??= new URL('../../build/release', import.meta.url).pathname
const { System, bin } = await import('../integration/lib/system.mjs')
const rounds = Number(process.argv[2] ?? 3)
const median = values => values.slice().sort((a, b) => a - b)[values.length >> 1]
const TICKS = 100

const system = await System.start({ shards: 1, edges: 1, set: ['realtime.max_connections=20000', 'realtime.connect_rate=0', 'realtime.client_budget=256MiB'] })
const cpu = () => { const fields = readFileSync(`/proc/${system.pid('edge-0')}/stat`, 'utf8').split(') ')[1].split(' '); return (Number(fields[11]) + Number(fields[12])) / TICKS }
const metric = name => system.metric('edge-0', `pgtide_edge_${name}`)

// Columns as applications have them: words, numbers, a uuid, a time.
await system.sql(`create table d (id int primary key, title text, body text, price numeric, owner uuid, made timestamptz); grant select on d to anon; select enable_realtime('d')`)
const insert = (from, rows, words) => system.sql(`insert into d select g, 'Order ' || g, (select string_agg(md5((g * 31 + w)::text) || ' some words of it ', '') from generate_series(1, ${words}) w),
  g / 7.0, gen_random_uuid(), now() from generate_series(${from}, ${from + rows - 1}) g`)

let serial = 1
async function once(count, rows, words, deflate) {
  const child = spawn(bin('bench-clients'), [system.port, count, 'table:public.d', rows, 120, '-', deflate ? 'deflate' : 'plain'].map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  if ((await lines.next()).value !== 'ready') throw new Error('bench-clients')
  const before = { cpu: cpu(), bytes: await metric('sent_bytes_total'), packed: await metric('deflate_frames_total'), sent: await metric('deflate_sent_total') }
  await insert(serial, rows, words)
  serial += rows
  const counted = JSON.parse((await lines.next()).value)
  const after = { cpu: cpu(), bytes: await metric('sent_bytes_total'), packed: await metric('deflate_frames_total'), sent: await metric('deflate_sent_total') }
  if (counted.frames !== count * rows || counted.lost > 0) throw new Error(`lost: ${JSON.stringify(counted)}`)
  return { us: (after.cpu - before.cpu) / counted.frames * 1e6, bytes: (after.bytes - before.bytes) / counted.frames, packed: after.packed - before.packed, sent: after.sent - before.sent }
}

for (const words of [0, 20, 80]) {
  for (const [count, rows] of [[1, 40_000], [100, 4000], [1000, 600]]) {
    const found = { plain: [], deflate: [] }
    for (let n = 0; n < rounds; n++) {
      for (const kind of n % 2 ? ['plain', 'deflate'] : ['deflate', 'plain']) found[kind].push(await once(count, words === 80 ? rows / 2 : rows, words, kind === 'deflate'))
    }
    const of = (kind, what) => median(found[kind].map(each => each[what]))
    console.log(`${count} subscribers, ${Math.round(of('plain', 'bytes'))} bytes a frame: edge CPU ${of('plain', 'us').toFixed(2)} us a frame plain, ${of('deflate', 'us').toFixed(2)} us with deflate; ` +
      `${Math.round(of('deflate', 'bytes'))} bytes with deflate (${(100 * (1 - of('deflate', 'bytes') / of('plain', 'bytes'))).toFixed(0)} % fewer); compressed ${of('deflate', 'packed')} times, sent ${of('deflate', 'sent')} times`)
  }
}
await system.stop()
