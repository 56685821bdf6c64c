// Llana's own Nuxt plugin (@juicyllama/llana-plugins-nuxtjs), unmodified and without Nuxt: what it imports from Nuxt (`#app`) are four
// functions, and `$fetch` is a global there. Its package also depends on @nuxt/kit, for builds only: package.json puts
// something small in its place. The REST side that it asks for tokens is Llana's, so here it is a stand-in.
import { createServer } from 'node:http'
import { register } from 'node:module'

const module = text => `data:text/javascript,${encodeURIComponent(text)}`
const nuxt = module(`
  export const defineNuxtPlugin = setup => setup
  export const navigateTo = () => {}
  export const useCookie = () => ({ value: undefined })
  export const useRequestHeaders = () => ({})`)
register(module(`export const resolve = (name, context, next) => name === '#app' ? { url: ${JSON.stringify(nuxt)}, shortCircuit: true } : next(name, context)`))

globalThis.$fetch = async (url, { method, headers }) => {
  const answer = await fetch(url, { method, headers })
  if (!answer.ok) throw Object.assign(new Error(answer.statusText), { response: answer })
  return answer.json()
}
const { default: setup } = await import(new URL('../../node_modules/@juicyllama/llana-plugins-nuxtjs/dist/runtime/plugin.js', import.meta.url))

// POST /auth/refresh, and nothing else: `tokens` is called for each one that is asked for.
export class LlanaRest {
  static async start(tokens) {
    const rest = new LlanaRest()
    rest.tokens = tokens
    rest.asked = 0
    rest.server = createServer((request, answer) => {
      if (request.method !== 'POST' || request.url !== '/auth/refresh') return answer.writeHead(404).end()
      rest.asked++
      answer.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ access_token: rest.tokens(rest.asked), refresh_token_expires_in: 3600 }))
    })
    await new Promise(done => rest.server.listen(0, '127.0.0.1', done))
    rest.url = `http://127.0.0.1:${rest.server.address().port}`
    return rest
  }

  stop() {
    this.server.closeAllConnections()
    this.server.close()
  }
}

// What an application does: $llanaSubscribe(table, onInsert, onUpdate, onDelete). What it hears is { insert | update | delete: payload }.
export async function subscribe(system, rest, table) {
  const { llanaSubscribe } = setup({ $config: { public: { LLANA_INSTANCE_URL: system.http, LLANA_INSTANCE_PROXY_URL: rest.url } } }).provide
  const heard = []
  const stop = await llanaSubscribe(table, data => heard.push({ insert: data }), data => heard.push({ update: data }), data => heard.push({ delete: data }))
  return { heard, stop }
}
