import { until } from './system.mjs'

// From here on commits wait for a synchronous standby that nobody is: they are in the log and decoded, and no snapshot sees them.
// The setting is in force when the checkpointer has heard of it, not when a session shows it: so until a commit does wait. Returns the
// function that ends it; what waited is over when its promise is.
export async function stallCommits(system) {
  const set = async value => {
    await system.sql(`alter system set synchronous_standby_names = '${value}'`)
    await system.sql('select pg_reload_conf()')
  }
  const probes = []
  const end = async () => {
    await set('')
    await Promise.all(probes)
  }
  try {
    await set('nobody')
    await until('commits wait', async () => {
      let over = false
      probes.push(system.sql(`select pg_logical_emit_message(true, 'probe', '')`).then(() => { over = true }))
      await until('it is over, or waits', async () => over || (await system.sql(`select 1 from pg_stat_activity where wait_event = 'SyncRep'`)).length > 0)
      return !over
    })
  } catch (error) {
    await end()
    throw error
  }
  return end
}
