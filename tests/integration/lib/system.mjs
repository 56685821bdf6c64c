// One whole pgtide, started by deploy/up as a user would, in a directory of its own: private
// PostgreSQL, tailer, shards, edges. Tests run several at once; everything is stopped by pid.
import { execFile, spawn } from 'node:child_process'
import { chmodSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { freePort } from './ports.mjs'

export { freePort }

const run = promisify(execFile)
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
export const BUILD = process.env.PGTIDE_TEST_BUILD_DIR ?? join(ROOT, 'build/asan')
export const bin = name => join(BUILD, 'bin', name)

pg.types.setTypeParser(20, text => text) // int8 stays text: no rounding in comparisons

// Calls `probe` until it returns something truthy; fails with `what` and the last value.
export async function until(what, probe, { deadline = 30_000, every = 20 } = {}) {
  const end = Date.now() + deadline
  let last
  for (;;) {
    try {
      last = await probe()
      if (last) return last
    } catch (error) {
      last = error
    }
    if (Date.now() > end) throw new Error(`not within ${deadline} ms: ${what} (last: ${last})`)
    await new Promise(wake => setTimeout(wake, every))
  }
}

export function childrenOf(pid) {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(name => {
    try {
      return Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ').at(-1).split(' ')[1]) === pid
    } catch {
      return false
    }
  }).map(Number)
}

export class System {
  static async start({ shards = 2, edges = 2, set = [], args = [], demo = false, keep = false } = {}) {
    const system = new System()
    system.dir = mkdtempSync(join(tmpdir(), 'pgtide-'))
    chmodSync(system.dir, 0o711)
    system.port = await freePort()
    system.keep = keep
    // The clients of a test are mostly one user's; limits.test.mjs has the limit itself.
    const settings = ['realtime.max_connections_per_user=0', ...set]
    system.args = ['--detach', '--dir', system.dir, '--build-dir', BUILD, demo ? '--demo' : '--no-demo', '--port', String(system.port),
      '--shards', String(shards), '--edges', String(edges), ...settings.flatMap(entry => ['--set', entry]), ...args]
    await system.up()
    return system
  }

  async up() {
    try {
      await run(join(ROOT, 'deploy/up'), this.args, { maxBuffer: 1 << 24, timeout: 180_000 })
    } catch (error) {
      throw new Error(`deploy/up failed: ${error.message}\n${error.stdout}\n${error.stderr}\n${this.logs()}`)
    }
    this.env = Object.fromEntries(readFileSync(join(this.dir, 'run.env'), 'utf8').split('\n')
      .map(line => line.match(/^(?:export )?([A-Z0-9_]+)=(['"]?)(.*)\2$/)).filter(Boolean).map(found => [found[1], found[3]]))
    this.databaseUrl = this.env.DATABASE_URL
    this.jwtKey = this.env.JWT_KEY
    this.url = `ws://127.0.0.1:${this.port}`
    this.http = `http://127.0.0.1:${this.port}`
    await this.connect()
  }

  async connect() {
    await this.pool?.end().catch(() => {})
    this.pool = new pg.Pool({ connectionString: this.databaseUrl, max: 16 })
    this.pool.on('error', () => {}) // a killed server: the next query reports it
  }

  async sql(text, values) {
    return (await this.pool.query(text, values)).rows
  }

  // Several statements on one connection, in one transaction unless told otherwise.
  async session(work) {
    const client = await this.pool.connect()
    try {
      return await work(client)
    } finally {
      client.release()
    }
  }

  processes() {
    return readdirSync(join(this.dir, 'run')).filter(name => name.endsWith('.start')).map(name => name.slice(0, -6))
  }

  pid(name) {
    return Number(readFileSync(join(this.dir, 'run', `${name}.pid`), 'utf8').split('\n')[0])
  }

  alive(name) {
    try {
      process.kill(this.pid(name), 0)
      return true
    } catch {
      return false
    }
  }

  // Sends a signal; with SIGKILL or SIGTERM waits until the process is gone.
  async kill(name, signal = 'SIGKILL') {
    const pid = this.pid(name)
    process.kill(pid, signal)
    if (signal === 'SIGKILL' || signal === 'SIGTERM') {
      await until(`${name} is gone`, () => {
        try {
          process.kill(pid, 0)
          return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.startsWith('Z')
        } catch {
          return true
        }
      })
    }
  }

  start(name) {
    const child = spawn(join(this.dir, 'run', `${name}.start`), [], { stdio: 'ignore', detached: true })
    child.unref()
  }

  // One more process of a tier, with the same configuration and an admin port of its own.
  standby(tier) {
    const out = openSync(join(this.dir, 'log', `${tier}-standby.log`), 'a')
    const child = spawn(bin(`pgtide-${tier}`), ['--config', join(this.dir, 'pgtide.yml'), '--set', `admin.${tier}_listen=127.0.0.1:0`,
      ...this.args.flatMap((arg, at) => arg === '--set' ? ['--set', this.args[at + 1]] : [])], { stdio: ['ignore', out, out] })
    closeSync(out)
    const ended = new Promise(done => child.once('exit', done))
    return { pid: child.pid, stop: () => { child.kill('SIGTERM'); return ended } }
  }

  log(name) {
    const file = join(this.dir, 'log', `${name}.log`)
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  logs(lines = 25) {
    if (!existsSync(join(this.dir, 'log'))) return '(no logs)'
    return readdirSync(join(this.dir, 'log')).map(file =>
      `--- ${file}\n${readFileSync(join(this.dir, 'log', file), 'utf8').split('\n').slice(-lines).join('\n')}`).join('\n')
  }

  // The admin address of a process: TAILER_ADMIN, BROKER_0_ADMIN, EDGE_1_ADMIN in run.env.
  admin(name) {
    return this.env[`${name.toUpperCase().replace('-', '_')}_ADMIN`].replace(/^(?!http)/, 'http://')
  }

  async readyz(name) {
    const answer = await fetch(`${this.admin(name)}/readyz`)
    return { ok: answer.status === 200, status: answer.status, text: await answer.text() }
  }

  async metric(name, metric, labels = '') {
    const text = await (await fetch(`${this.admin(name)}/metrics`)).text()
    let sum = null
    for (const line of text.split('\n')) {
      const found = line.match(/^([a-zA-Z_:]+)(?:\{(.*)\})? ([-+0-9.eE]+|NaN)$/)
      if (found && found[1] === metric && (found[2] ?? '').includes(labels)) sum = (sum ?? 0) + Number(found[3])
    }
    return sum
  }

  // Every shard has processed what is committed now: a subscription made later starts behind it.
  async settled() {
    const [{ lsn }] = await this.sql(`select (pg_current_wal_flush_lsn() - '0/0')::text as lsn`)
    for (const name of this.processes().filter(each => each.startsWith('broker'))) {
      await until(`${name} has processed what is committed`, async () => (await this.metric(name, 'pgtide_broker_position_lsn')) >= Number(lsn))
    }
  }

  rss(name) {
    return Number(readFileSync(`/proc/${this.pid(name)}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]) * 1024
  }

  peakRss(name) {
    return Number(readFileSync(`/proc/${this.pid(name)}/status`, 'utf8').match(/VmHWM:\s+(\d+)/)[1]) * 1024
  }

  async allReady() {
    for (const name of this.processes().filter(each => /^(tailer|broker|edge)/.test(each))) {
      try {
        await until(`${name} is ready`, async () => (await this.readyz(name)).ok, { deadline: 60_000 })
      } catch (error) {
        const said = await this.readyz(name).then(answer => answer.text, problem => problem.message)
        throw new Error(`${error.message}\n${said}\n${this.logs()}`)
      }
    }
  }

  // What every test file does at its end: stop all, and fail if a sanitizer or a crash spoke.
  async stop() {
    await this.pool?.end().catch(() => {})
    await run(join(ROOT, 'deploy/down'), ['--dir', this.dir], { timeout: 120_000 }).catch(error => {
      throw new Error(`deploy/down failed: ${error.stdout}\n${error.stderr}`)
    })
    const bad = readdirSync(join(this.dir, 'log')).filter(file => !file.startsWith('postgres')).flatMap(file =>
      readFileSync(join(this.dir, 'log', file), 'utf8').split('\n')
        .filter(line => /ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|Assertion .* failed|Segmentation/.test(line))
        .map(line => `${file}: ${line}`))
    const logs = bad.length > 0 ? this.logs(80) : ''
    if (!this.keep) rmSync(this.dir, { recursive: true, force: true })
    if (bad.length > 0) throw new Error(`a process reported memory errors:\n${bad.join('\n')}\n${logs}`)
  }
}
