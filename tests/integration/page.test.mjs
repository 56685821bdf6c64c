// What a newcomer sees: deploy/up with its demo, and the page in a real browser.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import { System, until } from './lib/system.mjs'
import { user } from './lib/token.mjs'

const run = promisify(execFile)
let system
let browser
before(async () => {
  system = await System.start({ demo: true })
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] })
})
after(async () => {
  await browser?.close()
  await system?.stop()
})

async function open(hash) {
  const page = await browser.newPage()
  const problems = []
  page.on('pageerror', error => problems.push(String(error)))
  page.on('console', message => { if (message.type() === 'error') problems.push(message.text()) })
  page.on('request', request => { if (!request.url().startsWith(system.http)) problems.push(`request to ${request.url()}`) })
  await page.goto(`${system.http}/${hash}`)
  return { page, problems }
}
