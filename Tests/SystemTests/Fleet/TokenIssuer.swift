// Owns: an issuer of signed tokens, with a key of each algorithm and the file by which workers
// check its tokens. Keys and signatures are those of the openssl command.

import Foundation

/// Issues tokens.
final class TokenIssuer: Sendable {
  enum Algorithm: String, CaseIterable, Sendable {
    case rs256 = "RS256"
    case es256 = "ES256"
    case edDSA = "EdDSA"
    case hs256 = "HS256"
  }

  /// The file for `--jwt-keys`.
  let path: String
  private let folder: String
  private static let secret = "0123456789abcdef0123456789abcdef"

  /// Makes a key of each algorithm, named by it, and writes the file of all.
  init(_ algorithms: [Algorithm] = Algorithm.allCases) throws {
    folder = try Scratch.folder("issuer")
    path = "\(folder)/keys.json"
    for algorithm in algorithms { try make(algorithm, algorithm.rawValue) }
    try write(algorithms.map { ($0, $0.rawValue) })
  }

  /// Makes a key under a name.
  func make(_ algorithm: Algorithm, _ name: String) throws {
    let kind: [String]
    switch algorithm {
    case .rs256: kind = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    case .es256: kind = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    case .edDSA: kind = ["ED25519"]
    case .hs256: return
    }
    try openssl(["genpkey", "-algorithm"] + kind + ["-out", key(name)])
    try openssl([
      "pkey", "-in", key(name), "-pubout", "-outform", "DER", "-out", "\(key(name)).der",
    ])
  }

  /// Replaces the file by one with these keys.
  func write(_ keys: [(Algorithm, String)]) throws {
    let all = try keys.map { try jwk($0, $1) }.joined(separator: ",")
    try write(text: "{\"keys\":[\(all)]}")
  }

  func write(text: String) throws {
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  /// A token of a user, valid for so many seconds, with more claims.
  func token(
    _ user: String, _ algorithm: Algorithm = .es256, for seconds: Double = 600, _ more: String = "",
    by name: String? = nil
  ) throws -> String {
    let end = Date().timeIntervalSince1970 + seconds
    let comma = more.isEmpty ? "" : ","
    return try token(
      claims: "{\"sub\":\"\(user)\",\"exp\":\(String(format: "%.3f", end))\(comma)\(more)}",
      algorithm, by: name ?? algorithm.rawValue)
  }

  func token(claims: String, _ algorithm: Algorithm, by name: String) throws -> String {
    let header = "{\"alg\":\"\(algorithm.rawValue)\",\"kid\":\"\(name)\"}"
    let signed = Self.base64URL(Data(header.utf8)) + "." + Self.base64URL(Data(claims.utf8))
    let text = "\(folder)/text-\(UUID().uuidString)"
    try signed.write(toFile: text, atomically: false, encoding: .utf8)
    let out = ["-out", "\(text).sig"]
    switch algorithm {
    case .rs256, .es256:
      try openssl(["dgst", "-sha256", "-sign", key(name)] + out + [text])
    case .edDSA:
      try openssl(["pkeyutl", "-sign", "-rawin", "-inkey", key(name), "-in", text] + out)
    case .hs256:
      try openssl(
        ["dgst", "-sha256", "-mac", "HMAC", "-macopt", "key:\(Self.secret)", "-binary"] + out
          + [text])
    }
    let made = try Data(contentsOf: URL(filePath: "\(text).sig"))
    return signed + "." + Self.base64URL(algorithm == .es256 ? try Self.numbers(made) : made)
  }

  static func base64URL(_ data: Data) -> String {
    data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_")
      .replacing("=", with: "")
  }

  private func key(_ name: String) -> String { "\(folder)/\(name).key" }

  private func jwk(_ algorithm: Algorithm, _ name: String) throws -> String {
    let start = "{\"kid\":\"\(name)\",\"alg\":\"\(algorithm.rawValue)\",\"use\":\"sig\","
    if algorithm == .hs256 {
      return start + "\"kty\":\"oct\",\"k\":\"\(Self.base64URL(Data(Self.secret.utf8)))\"}"
    }
    let der = try Data(contentsOf: URL(filePath: "\(key(name)).der"))
    let last = { (count: Int, before: Int) in
      Self.base64URL(der.dropLast(before).suffix(count))
    }
    return switch algorithm {
    case .es256:
      start + "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"\(last(32, 32))\",\"y\":\"\(last(32, 0))\"}"
    case .edDSA: start + "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"\(last(32, 0))\"}"
    // The modulus stands before the exponent, which has a tag, a length and 65537.
    case .rs256: start + "\"kty\":\"RSA\",\"n\":\"\(last(256, 5))\",\"e\":\"AQAB\"}"
    case .hs256: start
    }
  }

  /// The two numbers of an ECDSA signature in DER, 32 bytes each.
  private static func numbers(_ der: Data) throws -> Data {
    var bytes = Array(der.dropFirst(2))[...]
    var numbers = Data()
    for _ in 0..<2 {
      guard bytes.count > 2, bytes.popFirst() == 2, let count = bytes.popFirst() else {
        throw Failure("no signature in DER")
      }
      let digits = bytes.prefix(Int(count)).drop { $0 == 0 }
      numbers += [UInt8](repeating: 0, count: 32 - digits.count) + digits
      bytes = bytes.dropFirst(Int(count))
    }
    return numbers
  }

  private func openssl(_ words: [String]) throws {
    let run = try ProgramRun(command: ["/usr/bin/env", "openssl"] + words)
    guard run.status == 0 else { throw Failure("openssl \(words[0]): \(run.errors)") }
  }
}
