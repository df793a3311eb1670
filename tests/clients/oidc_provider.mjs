// A login provider for tests: node oidc_provider.mjs --client ID --secret SECRET --redirect URI [--redirect URI ...]
//   [--port N]      0, the default, takes a free one
//   [--auth METHOD] client_secret_basic (default) or client_secret_post; the discovery document announces no other
// Prints its issuer on stdout once it listens. Each start makes a new signing key and forgets every session and code.
//
// Anybody may sign in: POST login=NAME[+GROUP...] to the page the authorize URL leads to. Consent is given for them.
// Name, groups and isAdmin (the group "admins") come from that login name, in userinfo only; PKCE is required.
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { parseArgs } from 'node:util'
import Provider from 'oidc-provider'

const { values: options } = parseArgs({
  options: {
    client: { type: 'string' },
    secret: { type: 'string' },
    redirect: { type: 'string', multiple: true },
    port: { type: 'string', default: '0' },
    auth: { type: 'string', default: 'client_secret_basic' },
  },
})

// Its notices go to stderr: the test that started this reads one line from stdout and may close it then.
console.info = console.error

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'RS256', use: 'sig' }
}

async function findAccount(ctx, id) {
  const [name, ...groups] = id.split('+')
  const claims = {
    sub: id,
    name: `${name} Example`,
    preferred_username: name,
    email: `${name}@example.org`,
    picture: `https://img.example.org/${encodeURIComponent(name)}.png`,
    isAdmin: groups.includes('admins'),
    groups,
  }
  return { accountId: id, claims: async () => claims }
}

async function loadExistingGrant(ctx) {
  const { session, client, provider } = ctx.oidc
  const grant = new provider.Grant({ accountId: session.accountId, clientId: client.clientId })
  grant.addOIDCScope('openid profile email')
  await grant.save()
  return grant
}

function configuration() {
  return {
    clients: [
      {
        client_id: options.client,
        client_secret: options.secret,
        redirect_uris: options.redirect,
        token_endpoint_auth_method: options.auth,
      },
    ],
    clientAuthMethods: [options.auth],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username', 'picture', 'isAdmin', 'groups'],
      email: ['email'],
    },
    cookies: { keys: [randomUUID()] },
    features: { devInteractions: { enabled: false } },
    findAccount,
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    jwks: { keys: [signingKey()] },
    loadExistingGrant,
    pkce: { required: () => true },
  }
}

async function body(request) {
  let text = ''
  for await (const chunk of request) text += chunk
  return new URLSearchParams(text)
}

async function interact(provider, request, response) {
  if (request.method === 'POST') {
    const login = { accountId: (await body(request)).get('login') }
    return provider.interactionFinished(request, response, { login })
  }
  await provider.interactionDetails(request, response)
  response.setHeader('content-type', 'text/html')
  response.end('<form method="post"><input name="login"><button>Sign in</button></form>')
}

const server = createServer()
server.listen(Number(options.port), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  const provider = new Provider(issuer, configuration())
  const answer = provider.callback()
  server.on('request', (request, response) => {
    if (!request.url.startsWith('/interaction/')) return answer(request, response)
    interact(provider, request, response).catch((error) => {
      response.statusCode = 400
      response.end(String(error))
    })
  })
  console.log(issuer)
})
