// Gets and uses tokens with `oauth4webapi`, a certified client library.
import { KeyObject } from 'node:crypto'
import * as oauth from 'oauth4webapi'
import { Agent, fetch } from 'undici'

const secret = 'a client secret with & : and % in it'
const insecure = { [oauth.allowInsecureRequests]: true }

export const discover = async (issuer) => {
  const url = new URL(issuer)
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
}

// A key for proofs, for the library (`dpop`) and for proofs made by hand.
export const generateHolder = async (alg) => {
  const pair = await oauth.generateKeyPair(alg, { extractable: true })
  const jwk = KeyObject.from(pair.publicKey).export({ format: 'jwk' })
  return { alg, jwk, key: KeyObject.from(pair.privateKey), dpop: oauth.DPoP({}, pair) }
}

// A TLS connection of the library with a certificate.
export const withCertificate = ({ cert, key, ca }) => {
  const dispatcher = new Agent({ connect: { cert, key, ca } })
  return { [oauth.customFetch]: (url, options) => fetch(url, { ...options, dispatcher }) }
}

// Repeats a request of the library that lacks a fresh nonce.
const withNonce = async (request) => {
  try {
    return await request()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return request()
  }
}

// Gets a token in the format `jwt` or `opaque`. The client `app` has a key, no key, or a certificate.
export const getToken = (server, format, { holder, connection } = {}) =>
  withNonce(async () => {
    const client = connection
      ? { client_id: 'app-with-certificate', use_mtls_endpoint_aliases: true }
      : { client_id: 'app' }
    const parameters = { scope: 'orders:read', resource: `urn:${format}:orders` }
    const options = { ...insecure, ...connection, DPoP: holder?.dpop }
    const auth = oauth.ClientSecretPost(secret)
    const response = await oauth.clientCredentialsGrantRequest(server, client, auth, parameters, options)
    return (await oauth.processClientCredentialsResponse(server, client, response)).access_token
  })

// Sends a request and returns the statuses of the responses: two if the first response asks for a nonce.
export const use = async (token, method, url, { holder, connection } = {}) => {
  const statuses = []
  const options = { ...insecure, ...connection, DPoP: holder?.dpop }
  const request = async () => {
    try {
      const response = await oauth.protectedResourceRequest(token, method, new URL(url), undefined, undefined, options)
      statuses.push(String(response.status))
    } catch (error) {
      if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error
      const code = error.cause.map(({ parameters }) => parameters.error).find(Boolean)
      statuses.push(`${error.status} ${code}`)
      throw error
    }
  }
  await withNonce(request).catch(() => {})
  return statuses.join(', ')
}

// Sends a bearer token and returns the challenges of the rejection.
export const challenges = (token, url) =>
  oauth.protectedResourceRequest(token, 'GET', new URL(url), undefined, undefined, insecure).catch(({ cause }) => cause)
