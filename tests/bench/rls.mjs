// What a compiled policy costs from end to end: a table without row-level security against the same with an owner policy, the two
// alternating in one system. See README.md here.
//   node tests/bench/rls.mjs [--cpu] [--rounds 5] [--rows 200000]      (build/release; --cpu: only what frames cost)
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { CASES, clients, counted, insert, median, one, option, start, TIERS, walsenderOf } from './rls_tables.mjs'

const rounds = option('--rounds', 5)
const rows = option('--rows', 200_000)
const scratch = mkdtempSync(join(tmpdir(), 'pgtide-rls-'))

const cpuSeconds = (system, name) => {
  const fields = readFileSync(`/proc/${system.pid(name)}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

// Over all threads of each, as the scheduler counts it.
let walsender = 0
const cpuOfTiers = system => TIERS.map(name => {
  const tasks = `/proc/${name === 'walsender' ? walsender : system.pid(name)}/task`
  return readdirSync(tasks).reduce((sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e3, 0)
})

// `owners` identities watch; a row is of one of them. Of a table without policies one client sees all.
async function throughput(system, table, owners) {
  const watching = table === 'plain' ? 1 : owners
  const lines = await clients(system, scratch, { count: watching, table, expect: rows / watching })
  const broker = cpuSeconds(system, 'broker-0')
  await insert(system, table, rows, owners)
  const found = await counted(lines, table, rows)
  return { rate: found.frames_per_second, broker: (cpuSeconds(system, 'broker-0') - broker) / rows * 1e6 }
}

// Every row goes to all of `count` clients, of as many identities: microseconds of the tiers' CPU for one delivered frame.
async function cpuPerFrame(system, table, count) {
  const lines = await clients(system, scratch, { count, table, expect: rows })
  const before = cpuOfTiers(system)
  await insert(system, table, rows)
  await counted(lines, table, rows * count)
  return cpuOfTiers(system).map((each, n) => (each - before[n]) / rows / count)
}

async function latency(system, table) {
  const count = 3000
  const lines = await clients(system, scratch, { count: 1, table, expect: count })
  await system.session(async db => {
    const started = performance.now()
    for (let n = 0; n < count; n++) {
      const wait = started + n - performance.now()
      if (wait > 1) await new Promise(wake => setTimeout(wake, wait))
      await db.query(one(table))
    }
  })
  const found = await counted(lines, table, count)
  return { p50: found.p50_us / 1000, p99: found.p99_us / 1000 }
}

const system = await start()
try {
  // The same frames with and without policies, alternating: what they cost in CPU, whoever else uses this machine.
  walsender = await walsenderOf(system)
  for (const [table, count] of CASES) {
    const ratios = []
    const found = { plain: [], [table]: [] }
    for (let n = 0; n < rounds; n++) {
      for (const each of n % 2 ? ['plain', table] : [table, 'plain']) found[each].push(await cpuPerFrame(system, each, count))
      ratios.push(found[table][n].reduce((a, b) => a + b) / found.plain[n].reduce((a, b) => a + b))
    }
    const tiers = name => TIERS.map((_, tier) => median(found[name].map(each => each[tier])).toFixed(3)).join(' + ')
    console.log(`CPU for one frame, ${count} clients, ${table}: ${tiers(table)} us (${TIERS.join(', ')}); without policies ${tiers('plain')}; ratio ${median(ratios).toFixed(3)}, rounds ${ratios.map(each => each.toFixed(3)).join(' ')}`)
  }
  for (const owners of process.argv.includes('--cpu') ? [] : [1, 1000]) {
    const runs = { plain: [], owned: [] }
    for (let n = 0; n < rounds; n++) {
      for (const table of n % 2 ? ['plain', 'owned'] : ['owned', 'plain']) runs[table].push(await throughput(system, table, owners))
    }
    const rate = table => Math.round(median(runs[table].map(each => each.rate)))
    const broker = table => median(runs[table].map(each => each.broker)).toFixed(2)
    console.log(`${rows} rows, ${owners} owners: ${rate('owned')} frames/s to ${owners} with the policy, ${rate('plain')} to 1 without, ratio ${(rate('owned') / rate('plain')).toFixed(3)}; `
      + `rounds ${runs.owned.map((each, n) => (each.rate / runs.plain[n].rate).toFixed(2)).join(' ')}; broker ${broker('owned')} and ${broker('plain')} us of CPU per row`)
  }
  const found = { plain: [], owned: [] }
  for (let n = 0; n < rounds && !process.argv.includes('--cpu'); n++) for (const table of ['owned', 'plain']) found[table].push(await latency(system, table))
  for (const table of process.argv.includes('--cpu') ? [] : ['owned', 'plain']) {
    console.log(`commit to client at 1,000 rows/s, ${table}: p50 ${median(found[table].map(each => each.p50))} ms, p99 ${median(found[table].map(each => each.p99))} ms`)
  }
} finally {
  await system.stop()
  rmSync(scratch, { recursive: true })
}
console.log(`machine: ${cpus().length} x ${cpus()[0].model}`)
