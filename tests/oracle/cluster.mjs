// A private PostgreSQL for the oracle: on a unix socket, in a directory of its own, stopped by pid.
import { execFile, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
export const BUILD = process.env.PGTIDE_TEST_BUILD_DIR ?? join(ROOT, 'build/asan')

function postgresBin() {
  const at = '/usr/lib/postgresql'
  const versions = existsSync(at) ? readdirSync(at).sort((a, b) => Number(a) - Number(b)) : []
  return join(at, versions.includes('15') ? '15' : versions.at(-1) ?? '15', 'bin')
}

export class Cluster {
  // PostgreSQL refuses to run as root.
  as(command, args) {
    return process.getuid() === 0
      ? ['setpriv', ['--reuid=postgres', '--regid=postgres', '--init-groups', command, ...args]] : [command, args]
  }

  // Without `oracle` only the server: no databases for policy-oracle.
  static async start(workers, oracle = true) {
    const cluster = new Cluster()
    cluster.dir = mkdtempSync(join(tmpdir(), 'pgtide-oracle-'))
    if (process.getuid() === 0) {
      const [, , uid, gid] = readFileSync('/etc/passwd', 'utf8').split('\n').find(line => line.startsWith('postgres:')).split(':')
      chownSync(cluster.dir, Number(uid), Number(gid))
    }
    chmodSync(cluster.dir, 0o700)
    const bin = postgresBin()
    const data = join(cluster.dir, 'data')
    try {
      await run(...cluster.as(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync']), { cwd: '/' })
      const options = ['listen_addresses=', `unix_socket_directories=${cluster.dir}`, 'fsync=off', 'synchronous_commit=off', 'full_page_writes=off',
        'autovacuum=off', 'max_wal_size=4GB', 'jit=off', 'log_min_messages=fatal', 'log_min_error_statement=panic']
      const [command, args] = cluster.as(join(bin, 'postgres'), ['-D', data, ...options.flatMap(option => ['-c', option])])
      cluster.server = spawn(command, args, { cwd: '/', stdio: 'ignore' })
      cluster.ended = new Promise(done => cluster.server.once('exit', done))
      if (oracle) await cluster.oracle('postgres', ['--setup'], 100)
      else await cluster.ready(100)
      for (let i = 0; i < workers; i++) await cluster.sql(`create database w${i} template postgres`)
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  async ready(tries) {
    while (!await this.sql('select 1').then(() => true, error => { if (--tries <= 0) throw error })) {
      await new Promise(wake => setTimeout(wake, 100))
    }
  }

  async sql(text) {
    return run(join(postgresBin(), 'psql'), ['-X', '-q', '-h', this.dir, '-U', 'postgres', '-d', 'template1', '-c', text])
  }

  // Its output; a failure (mismatches, or no connection within `tries`) is an error with the output.
  oracle(database, args, tries = 1) {
    return this.run('policy-oracle', database, args, tries)
  }

  async run(program, database, args, tries = 1) {
    for (;;) {
      try {
        return (await run(join(BUILD, 'bin', program), ['--conninfo', `host=${this.dir} user=postgres dbname=${database}`, ...args], { maxBuffer: 1 << 26 })).stdout
      } catch (error) {
        if (--tries <= 0) throw new Error(`${program} ${args.join(' ')}: ${error.message}\n${error.stdout}\n${error.stderr}`)
        await new Promise(wake => setTimeout(wake, 100))
      }
    }
  }

  async stop() {
    if (this.server?.exitCode === null) {
      this.server.kill('SIGINT')
      await this.ended
    }
    rmSync(this.dir, { recursive: true, force: true })
  }
}

// `decisions` in all, on as many databases as there are workers, from different seeds. The outputs.
export async function decide(cluster, workers, decisions, seed) {
  return Promise.all(Array.from({ length: workers }, (_, i) =>
    cluster.oracle(`w${i}`, ['--seed', String(seed + i * 1_000_000), '--decisions', String(Math.ceil(decisions / workers))])))
}
