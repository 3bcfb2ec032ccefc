// Sends one request over a connection of its own and summarizes the response.
import * as http from 'node:http'
import * as https from 'node:https'

// Values of `headers` may be lists: one field for each item.
export const send = ({ url, method = 'GET', headers = {}, ...connection }) =>
  new Promise((resolve, reject) => {
    const { request } = new URL(url).protocol === 'https:' ? https : http
    const sent = request(url, { method, headers, agent: false, ...connection }, (response) => {
      response.resume()
      response.on('end', () => resolve(response))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end()
  })

// The status, the challenge that has an error, and the error's kind: `401 DPoP invalid_dpop_proof WrongProofRequest`.
export const outcome = ({ statusCode, headersDistinct: fields }) => {
  const errors = (fields['www-authenticate'] ?? []).flatMap((field) => {
    const [, scheme, error] = field.match(/^(\w+) .*\berror="(\w+)"/) ?? []
    return error ? [scheme, error] : []
  })
  const kind = fields['error-kind'] ?? []
  // Without a nonce, the client could only repeat its mistake.
  const lacking = kind[0] === 'WrongProofNonce' && !fields['dpop-nonce'] ? ['without DPoP-Nonce'] : []
  return [statusCode, ...errors, ...kind, ...lacking].join(' ')
}

const codes = {
  MissingBinding: 'invalid_token',
  SenderConstrained: 'invalid_token',
  MissingProof: 'invalid_dpop_proof',
  MalformedProof: 'invalid_dpop_proof',
  InvalidProofSignature: 'invalid_dpop_proof',
  WrongProofRequest: 'invalid_dpop_proof',
  WrongProofToken: 'invalid_dpop_proof',
  WrongProofTime: 'invalid_dpop_proof',
  ReplayedProof: 'invalid_dpop_proof',
  WrongProofNonce: 'use_dpop_nonce',
  WrongProofKey: 'invalid_token',
  MissingCertificate: 'invalid_token',
  WrongCertificate: 'invalid_token',
}

export const accepted = '200'

// The outcome of a request that the service rejects.
export const refused = (kind, scheme = 'DPoP') => `401 ${scheme} ${codes[kind]} ${kind}`
