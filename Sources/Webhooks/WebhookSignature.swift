// Owns: the signature of a delivery. A pure function; any thread.

internal import Loop

/// What a receiver checks: that the body is from a worker, and not from long ago.
package enum WebhookSignature {
  package static let headerName = "Latchkey-Signature"

  /// `t=<unix seconds>,v1=<hex>` of HMAC-SHA256 with the secret, of the time's digits, a dot, and
  /// the body.
  package static func header(secret: [UInt8], unixSeconds: Int64, body: [UInt8]) -> String {
    let signed = Array("\(unixSeconds).".utf8) + body
    let hash = signed.withUnsafeBufferPointer { Digest.hmacSHA256(key: secret, $0) }
    let digits = Array("0123456789abcdef".utf8)
    let hex = hash.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return "t=\(unixSeconds),v1=\(String(decoding: hex, as: UTF8.self))"
  }
}
