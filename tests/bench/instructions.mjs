// What a compiled policy costs in instructions, from the WAL to the sockets: a figure that no other work on the machine changes.
//   node tests/bench/instructions.mjs [--rows 10000] [--rounds 3] [--only owned]      (build/release; valgrind)
// The walsender and the three tiers run under callgrind, which counts what they execute in user space, libraries included. What the
// kernel does for them is the same for the same frames and is not counted: so the ratios are more than those of all work.
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CASES, clients, counted, insert, median, option, start, TIERS, walsenderOf } from './rls_tables.mjs'

const { until } = await import('../integration/lib/system.mjs')
const run = promisify(execFile)
const rows = option('--rows', 10_000)
const rounds = option('--rounds', 3)
const only = process.argv.indexOf('--only')
const scratch = mkdtempSync(join(tmpdir(), 'pgtide-instructions-'))
await run('chmod', ['1777', scratch])
const WARM = 10
let walsender = 0

// From the next start on.
function underCallgrind(system, name) {
  const file = join(system.dir, 'run', `${name}.start`)
  const prefix = `valgrind --tool=callgrind --trace-children=yes --callgrind-out-file=${scratch}/${name}.%p `
  const text = readFileSync(file, 'utf8')
  const program = text.match(/\S*\/bin\/(?:pgtide-\w+|postgres) /)[0]
  writeFileSync(file, text.replace(program, prefix + program))
}

const pidOf = (system, tier) => tier === 'walsender' ? walsender : system.pid(tier)

async function control(system, option) {
  for (const tier of TIERS) {
    const pid = pidOf(system, tier)
    const { uid, gid } = statSync(`/proc/${pid}`) // whose program it is may look into it
    await run('callgrind_control', [option, String(pid)], { uid, gid, cwd: '/' })
  }
}

// Of the newest dump of each.
function instructions(system) {
  return TIERS.map(tier => {
    const prefix = `${tier === 'walsender' ? 'postgres' : tier}.${pidOf(system, tier)}.`
    const number = Math.max(...readdirSync(scratch).filter(name => name.startsWith(prefix)).map(name => Number(name.slice(prefix.length))))
    return Number(readFileSync(`${scratch}/${prefix}${number}`, 'utf8').match(/^(?:summary|totals): (\d+)/m)[1])
  })
}

// The first change of a table in a session has its rights looked at anew, and what is live reads the rest of its transaction from
// the window: that is not what a frame costs.
async function warm(system, table, count) {
  const lines = await clients(system, scratch, { count, table, expect: WARM, seconds: 600 })
  await insert(system, table, WARM)
  await counted(lines, table, WARM * count)
}

async function perFrame(system, table, count) {
  await warm(system, table, count)
  const lines = await clients(system, scratch, { count, table, expect: rows, seconds: 600 })
  await control(system, '-z')
  await insert(system, table, rows)
  await counted(lines, table, rows * count)
  await control(system, '-d')
  return instructions(system).map(each => each / rows / count)
}

const system = await start(['database.connect_timeout=120s', 'policies.deadline=300s']) // all of it is fifty times as slow
try {
  await system.sql('alter system set autovacuum = off') // it has definitions of tables sent again
  for (const name of system.processes()) {
    underCallgrind(system, name)
    await system.kill(name, name === 'postgres' ? 'SIGKILL' : 'SIGTERM')
  }
  system.start('postgres')
  await until('PostgreSQL answers', () => system.connect().then(() => system.sql('select 1')), { deadline: 120_000, every: 500 })
  for (const name of TIERS.slice(1)) system.start(name)
  await until('everything is ready', () => system.allReady().then(() => true), { deadline: 300_000 })
  await until('subscriptions are answered', () => warm(system, 'owned', 1).then(() => true), { deadline: 120_000 })
  walsender = await walsenderOf(system)
  for (const [table, count] of CASES.filter(each => only < 0 || each[0] === process.argv[only + 1])) {
    const found = { plain: [], [table]: [] }
    for (let n = 0; n < rounds; n++) {
      for (const each of n % 2 ? ['plain', table] : [table, 'plain']) found[each].push(await perFrame(system, each, count))
    }
    const sum = each => each.reduce((a, b) => a + b)
    const tiers = name => TIERS.map((_, tier) => median(found[name].map(each => each[tier])).toFixed(0)).join(' + ')
    const ratios = found[table].map((each, n) => sum(each) / sum(found.plain[n]))
    console.log(`instructions for one frame, ${count} clients, ${table}: ${tiers(table)} (${TIERS.join(', ')}); without policies ${tiers('plain')}; ratio ${median(ratios).toFixed(3)}, rounds ${ratios.map(each => each.toFixed(3)).join(' ')}`)
  }
} finally {
  await system.stop()
  if (!process.argv.includes('--keep')) rmSync(scratch, { recursive: true })
  else console.log(scratch) // what callgrind_annotate reads
}
