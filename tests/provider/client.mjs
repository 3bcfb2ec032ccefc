// Clients of our services. Reads the URLs of the provider and the services from the first argument. Writes the name,
// the expected outcome and the actual outcome of each request.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { nonces, proofs, required } from './dpop.mjs'
import { certificates } from './mtls.mjs'
import { honest, prove } from './proof.mjs'
import { outcome, send } from './send.mjs'
import { challenges, discover, generateHolder, getToken, use, withCertificate } from './tokens.mjs'

const { issuer, services, clients, tlsAuthority } = JSON.parse(process.argv[2])
const server = await discover(issuer)
const results = []
const report = (name, expected, actual) => results.push({ name, expected, actual })

const ca = readFileSync(tlsAuthority)
const pair = ({ cert, key }) => ({ cert, key, ca, x509: new X509Certificate(cert) })
const pairs = { alice: pair(clients.alice), mallory: pair(clients.mallory) }
const connection = withCertificate(pairs.alice)
const [holder, mallory] = [await generateHolder('ES256'), await generateHolder('ES256')]

// A nonce lives for four seconds. Responses carry a new one after two seconds, so a busy client is never rejected.
const renewal = async (format) => {
  const holder = await generateHolder('ES256')
  const token = await getToken(server, format, { holder })
  for (const [pause, expected] of [[0, '401 use_dpop_nonce, 200'], [2100, '200'], [2100, '200']]) {
    await setTimeout(pause)
    report(`${format}, renewed nonce`, expected, await use(token, 'GET', services.nonces, { holder }))
  }
}

// Requests with proofs of the library.
const library = async (format) => {
  for (const alg of ['ES256', 'ES384', 'Ed25519', 'PS256', 'RS256']) {
    const holder = await generateHolder(alg)
    const token = await getToken(server, format, { holder })
    report(`${format}, ${alg}`, '200', await use(token, 'GET', services.open, { holder }))
    report(`${format}, ${alg}, POST`, '200', await use(token, 'POST', services.open, { holder }))
    report(`${format}, ${alg}, nested`, '200', await use(token, 'GET', services.nested, { holder }))
    report(`${format}, ${alg}, nonce`, '401 use_dpop_nonce, 200', await use(token, 'GET', services.nonces, { holder }))
  }
  await renewal(format)
  const unbound = await getToken(server, format)
  report(`${format}, bearer`, '200', await use(unbound, 'GET', services.open))
  const certified = await getToken(server, format, { connection })
  report(`${format}, certificate`, '200', await use(certified, 'GET', services.tls, { connection }))
}

// The library reads the challenges of both schemes.
const challenged = async () => {
  const [bearer, dpop] = await challenges('unknown', services.open)
  report('challenges', 'bearer, invalid_token', [bearer.scheme, bearer.parameters.error].join(', '))
  report('challenges', 'dpop, ES256 ES384 EdDSA PS256 RS256', [dpop.scheme, dpop.parameters.algs].join(', '))
}

// Sends the parts of a request that `honest` describes.
const sendWithProof = (request) => {
  const { url, path, method, scheme, token, proof = prove(request) } = request
  const headers = { Authorization: `${scheme} ${token}`, DPoP: proof }
  return send({ url, method, headers, ...(path && { path }) })
}

const manipulated = async (format) => {
  const tokens = {
    unbound: await getToken(server, format),
    again: await getToken(server, format, { holder }),
    mallory: await getToken(server, format, { holder: mallory }),
    certified: await getToken(server, format, { connection }),
  }
  const token = await getToken(server, format, { holder })
  const nonceOf = async (url) => (await sendWithProof(honest({ url, token, holder }))).headers['dpop-nonce']
  const world = { tokens, mallory, send: sendWithProof, foreignNonce: await nonceOf(services.foreign) }
  const run = async (url, table, nonce) => {
    for (const [name, expected, change] of table) {
      const request = honest({ url, token, holder })
      request.claims.nonce = await nonce?.()
      await change(request, world)
      report(`${format}, ${name}`, expected, outcome(await sendWithProof(request)))
    }
  }
  await run(services.open, proofs)
  await run(services.required, required)
  await run(services.nonces, nonces, () => nonceOf(services.nonces))
  for (const [name, expected, service, { tls, scheme = 'Bearer', headers, localAddress }] of certificates(pairs)) {
    const fields = { ...headers, Authorization: `${scheme} ${tokens.certified}` }
    const response = await send({ url: services[service], headers: fields, ca, ...tls, localAddress })
    report(`${format}, ${name}`, expected, outcome(response))
  }
}

await challenged()
await Promise.all(['jwt', 'opaque'].flatMap((format) => [library(format), manipulated(format)]))
process.stdout.write(JSON.stringify(results), () => process.exit())
