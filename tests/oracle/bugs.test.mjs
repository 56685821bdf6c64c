// The test of the test: every bug planted into the broker's policies (broker/policy/fault.h) is caught by the oracle.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster } from './cluster.mjs'

test('every planted bug is caught', async t => {
  const cluster = await Cluster.start(1)
  try {
    const output = await cluster.oracle('w0', ['--seed', '1', '--bugs'])
    for (const line of output.trim().split('\n')) t.diagnostic(line)
    assert.doesNotMatch(output, /NOT CAUGHT/)
  } finally {
    await cluster.stop()
  }
})
