// Kills, stops and restarts the processes of a System. Each by the number it was started with.
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { spawn } from 'node:child_process'
import { bin, childrenOf, until } from '../integration/lib/system.mjs'
import { wait } from './writers.mjs'

export class Supervisor {
  constructor(system, { standby = true } = {}) {
    this.system = system
    this.names = [...system.processes().filter(name => /^(tailer|broker|edge)/.test(name)), ...(standby ? ['standby'] : [])]
    this.busy = new Set() // somebody is doing something to it already
    this.kills = {}
    this.work = new Set()
    this.log = []
  }

  count(kind, target) {
    const name = `${kind} ${target.replace(/-\d+$/, '')}`
    this.kills[name] = (this.kills[name] ?? 0) + 1
  }

  pid(name) {
    return name === 'standby' ? this.standby?.pid : this.system.pid(name)
  }

  start(name) {
    if (name !== 'standby') return this.system.start(name)
    const out = openSync(join(this.system.dir, 'log', 'tailer-standby.log'), 'a')
    const { args, dir } = this.system
    this.standby = spawn(bin('pgtide-tailer'), ['--config', join(dir, 'pgtide.yml'), '--set', 'admin.tailer_listen=127.0.0.1:0',
      ...args.flatMap((arg, at) => arg === '--set' ? ['--set', args[at + 1]] : [])], { stdio: ['ignore', out, out] })
    closeSync(out)
  }

  signal(name, signal) {
    try {
      process.kill(this.pid(name), signal)
      return true
    } catch {
      return false
    }
  }

  alive(name) {
    return running(this.pid(name))
  }

  // Does `work` to the named ones that nobody else has under work; returns at once.
  with(names, work) {
    const free = names.filter(name => !this.busy.has(name))
    if (free.length === 0) return 0
    for (const name of free) this.busy.add(name)
    const done = work(free).catch(error => this.log.push(`${free}: ${error.message}`)).finally(() => {
      for (const name of free) this.busy.delete(name)
      this.work.delete(done)
    })
    this.work.add(done)
    return free.length
  }

  // drain: how long a SIGTERM may take before it is counted as hanging and killed.
  end(names, signal, down, { drain = 15_000 } = {}) {
    return this.with(names, async free => {
      const pids = free.map(name => this.pid(name))
      for (const name of free) if (this.signal(name, signal)) this.count(signal, name)
      await Promise.all(free.map(async (name, at) => {
        await until(`${name} is gone after ${signal}`, () => !running(pids[at]), { deadline: drain }).catch(error => {
          this.log.push(error.message)
          this.signal(name, 'SIGKILL')
          return until(`${name} is gone`, () => !running(pids[at]))
        })
        await wait(down)
        this.start(name)
        await until(`${name} runs`, () => this.pid(name) !== pids[at] && this.alive(name))
      }))
    })
  }

  pause(names, ms) {
    return this.with(names, async free => {
      for (const name of free) if (this.signal(name, 'SIGSTOP')) this.count('SIGSTOP', name)
      await wait(ms)
      for (const name of free) this.signal(name, 'SIGCONT')
    })
  }

  // The whole server at once, as a power cut would, or by the signal of pg_ctl -m immediate.
  postgres(kind, down) {
    return this.with(['postgres'], async () => {
      const pid = this.system.pid('postgres')
      const children = childrenOf(pid)
      this.count(kind === 'postgres-kill' ? 'SIGKILL' : 'immediate', 'postgres')
      if (kind === 'postgres-kill') for (const each of [pid, ...children]) try { process.kill(each, 'SIGKILL') } catch { /* gone already */ }
      else process.kill(pid, 'SIGQUIT')
      await until('PostgreSQL is gone', () => [pid, ...children].every(each => !running(each)), { deadline: 30_000 })
      await wait(down)
      this.system.start('postgres')
      await until('PostgreSQL runs', () => this.system.pid('postgres') !== pid && running(this.system.pid('postgres')))
    })
  }

  // Everything under way is over, and everything runs.
  async settle() {
    while (this.work.size > 0) await Promise.all(this.work)
    const dead = this.names.filter(name => !this.alive(name))
    for (const name of dead) { this.log.push(`${name} had ended by itself`); this.start(name) }
    return dead
  }

  async stopStandby() {
    const { standby } = this
    if (!standby || standby.exitCode !== null || standby.signalCode !== null) return
    const ended = new Promise(done => standby.once('exit', done))
    standby.kill('SIGTERM')
    await ended
  }
}

function running(pid) {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).startsWith('Z')
  } catch {
    return false
  }
}
