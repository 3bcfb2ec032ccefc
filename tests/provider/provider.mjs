// An OpenID provider with JWTs and opaque tokens. Reads its clients' public keys from the first argument, listens on
// two free ports, and writes the issuer to standard output. `GET /calls` counts the introspection requests.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { generateKeyPair, exportJWK } from 'jose'
import Provider from 'oidc-provider'

// Only the issuer goes to standard output.
console.info = console.warn = console.error
const { assertionKey, tlsCertificate, tlsKey } = JSON.parse(process.argv[2])
const secret = 'a client secret with & : and % in it'
const { privateKey } = await generateKeyPair('ES256', { extractable: true })
const signingKey = { ...(await exportJWK(privateKey)), alg: 'ES256', use: 'sig', kid: 'p1' }

// A client that only introspects, as an API does.
const api = (client_id, settings) => ({ client_id, redirect_uris: [], response_types: [], grant_types: [], ...settings })

// A client that gets tokens for itself.
const app = (client_id, settings) => ({
  client_id,
  client_secret: secret,
  token_endpoint_auth_method: 'client_secret_post',
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
  ...settings,
})

const listen = async (server) => {
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  return `127.0.0.1:${server.address().port}`
}
const server = createServer()
const issuer = `http://${await listen(server)}`
// Clients with certificates use this port. Any certificate will do, because the client secret says who the client is.
const certificate = { cert: readFileSync(tlsCertificate), key: readFileSync(tlsKey) }
const tlsServer = createTlsServer({ ...certificate, requestCert: true, rejectUnauthorized: false })
const tlsIssuer = `https://${await listen(tlsServer)}`

const provider = new Provider(issuer, {
  jwks: { keys: [signingKey] },
  clients: [
    api('api: basic', { client_secret: secret, token_endpoint_auth_method: 'client_secret_basic' }),
    api('api-post', { client_secret: secret, token_endpoint_auth_method: 'client_secret_post' }),
    api('api-key', {
      jwks: { keys: [assertionKey] },
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
    }),
    app('app'),
    app('app-with-certificate', { tls_client_certificate_bound_access_tokens: true }),
  ],
  clientDefaults: { id_token_signed_response_alg: 'ES256', introspection_signed_response_alg: 'ES256' },
  // With `offline_access` there are refresh tokens.
  scopes: ['orders:read', 'orders:write', 'offline_access'],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  enabledJWA: {
    introspectionSigningAlgValues: ['ES256'],
    clientAuthSigningAlgValues: ['ES256'],
    dPoPSigningAlgValues: ['ES256', 'ES384', 'Ed25519', 'EdDSA', 'PS256', 'RS256'],
  },
  discovery: { mtls_endpoint_aliases: { token_endpoint: `${tlsIssuer}/token` } },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    jwtIntrospection: { enabled: true },
    // Binds a token to the key of the client's proof, if there is one.
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      getCertificate: (context) => context.socket.getPeerX509Certificate?.(),
    },
    revocation: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      // The resource tells the format: `urn:opaque` or `urn:jwt`.
      getResourceServerInfo: (_, resource) => ({
        scope: 'orders:read orders:write',
        audience: 'https://api.example.com',
        accessTokenTTL: 600,
        accessTokenFormat: resource.split(':')[1],
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
})

// A refresh token, as a thief has it who stole it from a client.
const refreshToken = async () => {
  const grant = new provider.Grant({ clientId: 'app', accountId: 'eze' })
  grant.addOIDCScope('orders:read')
  const client = await provider.Client.find('app')
  const fields = { client, accountId: 'eze', scope: 'orders:read', gty: 'authorization_code' }
  return new provider.RefreshToken({ ...fields, grantId: await grant.save() }).save()
}

let calls = 0
tlsServer.on('request', provider.callback())
server.on('request', (request, response) => {
  if (request.url === '/calls') {
    response.end(String(calls))
    return
  }
  if (request.url === '/token/introspection') calls += 1
  if (request.url === '/refresh-token') {
    refreshToken().then((value) => response.end(value))
    return
  }
  provider.callback()(request, response)
})
provider.on('server_error', (_, error) => console.error(error))
console.log(issuer)
