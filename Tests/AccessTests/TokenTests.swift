// Owns: the tests of signed tokens: the vectors of RFC 7515, 7519 and 8037, what is refused of
// a token, and the principal that its claims make.

import Loop
import Testing
import Wire

@testable import Access
@testable import Settings

struct SignedTokenTests {
  /// 23 November 2023, in ms since 1970.
  private static let nowMs: Int64 = 1_700_700_000_000
  private static let now = nowMs / 1_000
  private static let secret = Array("a secret of thirty-two bytes or more".utf8)

  private static func keys(_ text: String) throws(TokenKeysError) -> TokenKeys {
    try TokenKeys(Array(text.utf8), "keys.json")
  }

  private static func set(_ keys: String...) -> String {
    "{\"keys\":[\(keys.joined(separator: ","))]}"
  }

  /// A set with the secret by which `token` signs.
  private static func oct(_ more: String = "\"kid\":\"one\"") -> String {
    set("{\"kty\":\"oct\",\"k\":\"\(Base64URL.encode(secret))\",\(more)}")
  }

  /// A token with these parts, signed by HS256.
  private static func token(
    _ claims: String, header: String = "{\"alg\":\"HS256\",\"kid\":\"one\"}",
    by secret: [UInt8] = secret
  ) -> String {
    let signed = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(claims.utf8))
    let hash = Array(signed.utf8).withUnsafeBufferPointer {
      Digest.hmacSHA256(key: secret, $0)
    }
    return signed + "." + Base64URL.encode(hash)
  }

  /// Claims that are accepted, with others behind them.
  private static func claims(_ more: String = "", exp: String = "\(now + 600)") -> String {
    "{\"sub\":\"ada\",\"exp\":\(exp)\(more.isEmpty ? "" : ",")\(more)}"
  }

  private func check(
    _ token: String, _ keys: TokenKeys, _ rules: TokenRules = TokenRules(), atMs: Int64 = nowMs
  ) throws(TokenFault) -> Principal {
    let verifier = TokenVerifier(keys, rules)
    let clock = TokenClock(wallMs: atMs, monotonicMs: 5_000)
    let outcome: Result<Principal, TokenFault> = Array(token.utf8).withUnsafeBufferPointer {
      bytes in
      do throws(TokenFault) {
        return .success(try verifier.principal(of: bytes, clock))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }

  /// Why a token is refused; nil if it is not.
  private func fault(
    _ token: String, _ keys: TokenKeys? = nil, _ rules: TokenRules = TokenRules(),
    atMs: Int64 = nowMs
  ) throws -> TokenFault? {
    let keys = try keys ?? Self.keys(Self.oct())
    do throws(TokenFault) {
      _ = try check(token, keys, rules, atMs: atMs)
      return nil
    } catch {
      return error
    }
  }

  // MARK: Vectors

  private static let joe =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
    + "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
  private static let octKey =
    "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"
    + "aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}"
  private static let rsaKey =
    "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddx"
    + "HmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs"
    + "D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSH"
    + "SXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV"
    + "MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8"
    + "NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}"
  private static let ecKey =
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    + "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
  private static let edKey =
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"

  /// A key of Ed25519 for which signatures can be made without its private part.
  private static func smallOrder(_ x: String) -> String {
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"\(x)\"}"
  }

  /// Of RFC 7515, A.1 to A.3: key and token.
  ///
  /// A.4 is ES512, which is none of ours.
  private static let vectors = [
    (
      octKey,
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\(joe).dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    ),
    (
      rsaKey,
      "eyJhbGciOiJSUzI1NiJ9.\(joe).cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
        + "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
        + "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
        + "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
        + "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
        + "p0igcN_IoypGlUPQGe77Rw"
    ),
    (
      ecKey,
      "eyJhbGciOiJFUzI1NiJ9.\(joe).DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
        + "pmWQxfKTUJqPP3-Kg6NU1Q"
    ),
  ]

  @Test func `the vectors of RFC 7515 are accepted, of their user and until their end`() throws {
    let rules = TokenRules(issuers: ["joe"], map: try #require(TokenMap("user=iss")))
    let expMs: Int64 = 1_300_819_380_000
    for (key, token) in Self.vectors {
      let keys = try Self.keys(Self.set(key))
      let joe = try check(token, keys, rules, atMs: expMs - 1_000)
      #expect(joe.name == "joe" && joe.endsAtMs == 6_000)
      #expect(joe.rights == [.read, .write] && joe.seesAllDevices)
      // What clocks may differ by.
      #expect(try check(token, keys, rules, atMs: expMs + 59_999).endsAtMs == 5_001)
      #expect(try fault(token, keys, rules, atMs: expMs + 60_000) == .expired)
      // A change of any character of any part.
      for at in token.indices {
        var other = token
        other.replaceSubrange(at...at, with: token[at] == "A" ? "B" : "A")
        #expect(try fault(other, keys, rules, atMs: expMs) != nil)
      }
    }
  }

  @Test func `the unsecured token of RFC 7519 and that of RFC 7515, A.5, are refused`() throws {
    let none = "eyJhbGciOiJub25lIn0.\(Self.joe)."
    for key in [Self.octKey, Self.rsaKey, Self.ecKey, Self.edKey] {
      #expect(try fault(none, Self.keys(Self.set(key))) == .malformed)
      #expect(try fault(none + "AA", Self.keys(Self.set(key))) == .algorithm)
    }
  }

  @Test func `the vector of RFC 8037, A.4, has the signature of its key`() throws {
    let keys = try Self.keys(Self.set(Self.edKey))
    let key = try #require(keys.candidates(id: nil).first)
    let signed = Array("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".utf8)
    let signature = try #require(
      Base64URL.decode(
        ("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
          .utf8))
    #expect(key.algorithm == .edDSA)
    #expect(signed.withUnsafeBufferPointer { key.verifies(signature, of: $0) })
    let cut = Array(signed.dropLast())
    #expect(!cut.withUnsafeBufferPointer { key.verifies(signature, of: $0) })
  }

  // MARK: Headers

  @Test(
    arguments: [
      ("{\"alg\":\"none\"}", .algorithm), ("{\"alg\":\"HS512\",\"kid\":\"one\"}", .algorithm),
      ("{\"alg\":\"hs256\",\"kid\":\"one\"}", .algorithm), ("{\"kid\":\"one\"}", .malformed),
      ("{\"alg\":\"HS256\",\"kid\":\"two\"}", .unknownKey),
      ("{\"alg\":\"HS256\",\"kid\":\"\"}", .unknownKey),
      ("{\"alg\":\"HS256\",\"kid\":1}", .malformed), ("{\"alg\":[\"HS256\"]}", .malformed),
      ("{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", .critical),
      ("{\"alg\":\"HS256\",\"crit\":[]}", .critical),
      ("{\"alg\":\"none\",\"alg\":\"HS256\"}", .malformed),
      ("{\"alg\":\"HS256\",\"\\u0061lg\":\"HS256\"}", .malformed),
      ("{\"alg\":\"HS256\",\"typ\":\"dpop+jwt\"}", .type), ("{\"alg\":\"HS256\",\"typ\":1}", .type),
      ("[\"HS256\"]", .malformed), ("", .malformed), ("{\"alg\":\"HS256\"} x", .malformed),
      ("{\"alg\":\"HS256\"}", nil), ("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", nil),
      ("{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"one\",\"jwk\":{\"kty\":\"oct\"}}", nil),
    ] as [(String, TokenFault?)])
  func `a header asks for a known key, its algorithm and nothing more`(
    header: String, expected: TokenFault?
  ) throws {
    #expect(try fault(Self.token(Self.claims(), header: header)) == expected)
  }

  @Test func `no public key is taken for a secret`() throws {
    for key in [Self.rsaKey, Self.ecKey, Self.edKey] {
      let keys = try Self.keys(Self.set(key))
      for secret in [Array(key.utf8), keys.candidates(id: nil)[0].fingerprint] {
        let token = Self.token(Self.claims(), header: "{\"alg\":\"HS256\"}", by: secret)
        #expect(try fault(token, keys) == .algorithm)
      }
    }
  }

  @Test func `three parts of base64url without padding are a token, and no longer than a line`()
    throws
  {
    let token = Self.token(Self.claims())
    #expect(try fault(token) == nil)
    for other in [
      "", ".", "..", "...", token + ".", "." + token, token + "=",
      token.replacing(".", with: "..", maxReplacements: 1),
      String(token.split(separator: ".")[0]), token + "A", " " + token, token + "\n",
    ] {
      #expect(try fault(other) != nil, "\(other)")
    }
    let most = TokenVerifier.bytesMax
    let padded = { (count: Int) in
      Self.token(Self.claims("\"x\":\"\(String(repeating: "x", count: count))\""))
    }
    let longest = try #require((2_000...4_000).last { padded($0).utf8.count <= most })
    #expect(try fault(padded(longest)) == nil && fault(padded(longest + 1)) == .malformed)
  }

  @Test func `a token without a kid is tried with a few keys only`() throws {
    let other = { (number: Int) in
      let secret = [UInt8](repeating: UInt8(number), count: 32)
      return "{\"kty\":\"oct\",\"k\":\"\(Base64URL.encode(secret))\"}"
    }
    let own = "{\"kty\":\"oct\",\"k\":\"\(Base64URL.encode(Self.secret))\",\"kid\":\"one\"}"
    for (others, isAccepted) in [(3, true), (4, false)] {
      let keys = try Self.keys(
        "{\"keys\":[\((0..<others).map(other).joined(separator: ",")),\(own)]}")
      let token = Self.token(Self.claims(), header: "{\"alg\":\"HS256\"}")
      #expect(try fault(token, keys) == (isAccepted ? nil : .unknownKey))
      #expect(try fault(Self.token(Self.claims()), keys) == nil)
    }
  }

  // MARK: Claims

  @Test(
    arguments: [
      ("\(now + 1)", nil), ("\(now - 59)", nil), ("\(now - 60)", .expired), ("0", .expired),
      ("-1", .expired), ("-0", .expired), ("\(now).5", nil), ("17007e5", nil), ("1e3", .expired),
      ("253402300799", nil), ("253402300800", .claims), ("1e300", .claims), ("1e999", .claims),
      ("-1e999", .claims), ("-62135596801", .claims), ("\(now)000", .claims),
      ("\"\(now + 600)\"", .claims), ("null", .claims), ("true", .claims),
      ("[\(now + 600)]", .claims),
      ("\(now + 600),\"exp\":\(now + 600)", .claims), ("\(now + 600),\"nbf\":\(now + 60)", nil),
      ("\(now + 600),\"nbf\":\(now + 61)", .notYet), ("\(now + 600),\"nbf\":-1e9", nil),
      ("\(now + 600),\"nbf\":\"1\"", .claims), ("\(now + 600),\"nbf\":1e40", .claims),
    ] as [(String, TokenFault?)])
  func `a token is valid from nbf to exp, with a minute for the clocks`(
    exp: String, expected: TokenFault?
  ) throws {
    #expect(try fault(Self.token(Self.claims(exp: exp))) == expected)
  }

  @Test(
    arguments: [
      ("{\"sub\":\"ada\"}", .claims), ("{\"exp\":\(now + 9)}", .claims), ("[]", .claims),
      ("{}", .claims), ("", .claims), ("{\"sub\":\"ada\",\"exp\":\(now + 9)", .claims),
      ("{\"sub\":\"ada\",\"s\\u0075b\":\"bob\",\"exp\":\(now + 9)}", .claims),
      ("{\"sub\":1,\"exp\":\(now + 9)}", .claims), ("{\"sub\":\"\",\"exp\":\(now + 9)}", .claims),
      ("{\"sub\":[],\"exp\":\(now + 9)}", .claims),
      ("{\"sub\":[\"a\",1],\"exp\":\(now + 9)}", .claims),
      ("{\"sub\":\"\\ud800\",\"exp\":\(now + 9)}", .claims),
      ("{\"sub\":\"\(String(repeating: "ä", count: 86))\",\"exp\":\(now + 9)}", .claims),
      ("{\"sub\":\"\(String(repeating: "ä", count: 85))\",\"exp\":\(now + 9)}", nil),
      (" {\"sub\":\"ada\",\"exp\":\(now + 9),\"x\":{\"a\":1,\"a\":2}} ", nil),
    ] as [(String, TokenFault?)])
  func `claims are an object with a user and an end`(claims: String, expected: TokenFault?) throws {
    #expect(try fault(Self.token(claims)) == expected)
  }

  @Test(
    arguments: [
      ("", .issuer), ("\"iss\":\"us\"", .audience), ("\"iss\":\"them\",\"aud\":\"cache\"", .issuer),
      ("\"iss\":[\"us\"],\"aud\":\"cache\"", .issuer),
      ("\"iss\":\"us\",\"aud\":\"Cache\"", .audience),
      ("\"iss\":\"us\",\"aud\":[\"x\",\"cache\"]", nil), ("\"iss\":\"us\",\"aud\":\"cache\"", nil),
      ("\"iss\":\"also us\",\"aud\":\"spare\"", nil), ("\"iss\":\"us\",\"aud\":[]", .audience),
      ("\"iss\":\"us\",\"aud\":[\"cache\",1]", .audience),
    ] as [(String, TokenFault?)])
  func `issuer and audience have to be one of those that are set`(
    more: String, expected: TokenFault?
  ) throws {
    let rules = TokenRules(audiences: ["cache", "spare"], issuers: ["us", "also us"])
    #expect(try fault(Self.token(Self.claims(more)), nil, rules) == expected)
  }

  @Test func `names are the same only if their bytes are`() throws {
    // Each is what Unicode says is equivalent to the other.
    let (one, other) = ("caf\u{E9}", "cafe\u{301}")
    let rules = TokenRules(audiences: [one], issuers: [one])
    let claims = { (iss: String, aud: String) in
      Self.claims("\"iss\":\"\(iss)\",\"aud\":\"\(aud)\"")
    }
    #expect(try fault(Self.token(claims(one, one)), nil, rules) == nil)
    #expect(try fault(Self.token(claims(other, one)), nil, rules) == .issuer)
    #expect(try fault(Self.token(claims(one, other)), nil, rules) == .audience)
    // The names of claims.
    let named = TokenRules(map: try #require(TokenMap("user=\(one)")))
    let users = { (name: String) in "{\"\(name)\":\"ada\",\"exp\":\(Self.now + 9)}" }
    #expect(try fault(Self.token(users(one)), nil, named) == nil)
    #expect(try fault(Self.token(users(other)), nil, named) == .claims)
    // The names of keys.
    let keys = try Self.keys(Self.oct("\"kid\":\"\(one)\""))
    #expect(keys.candidates(id: one).count == 1 && keys.candidates(id: other).isEmpty)
  }

  private static let map = "user=uid,rights=scope,devices=did"

  private func principal(_ claims: String, deviceIDs: DeviceIDs = .any) throws -> Principal {
    let rules = TokenRules(map: try #require(TokenMap(Self.map)), deviceIDs: deviceIDs)
    return try check(
      Self.token("{\"exp\":\(Self.now + 9),\(claims)}"), try Self.keys(Self.oct()), rules)
  }

  @Test(
    arguments: [
      ("", [.read, .write]), ("\"openid profile\"", []), ("\"read openid\"", [.read]),
      ("\"write,operate\"", [.write, .operate]), ("[\"read\",\"mail\"]", [.read]), ("\"\"", []),
      ("\"READ reads\"", []),
    ] as [(String, RightsSet)])
  func `rights are the words of a claim that name rights`(scope: String, rights: RightsSet) throws {
    let claim = scope.isEmpty ? "" : ",\"scope\":\(scope)"
    #expect(try principal("\"uid\":\"ada\"\(claim)").rights == rights)
  }

  @Test func `devices are the patterns of a claim, and without it all`() throws {
    let all = try principal("\"uid\":\"ada\"")
    #expect(all.seesAllDevices)
    for (did, sees, hides) in [
      ("\"d-1\"", ["d-1"], ["d-11", "d"]), ("[\"d-1\",\"e-*\"]", ["d-1", "e-", "e-9"], ["d-2"]),
      ("\"d-1 e\"", ["d-1", "e"], ["d-1 e"]), ("[]", [], ["d-1"]), ("\"\"", [], ["d-1"]),
      ("\"d\\\\*\"", ["d*"], ["d1"]),
    ] as [(String, [String], [String])] {
      let ada = try principal("\"uid\":\"ada\",\"did\":\(did)")
      #expect(!ada.seesAllDevices)
      for device in sees { #expect(ada.sees(Array(device.utf8)), "\(did) \(device)") }
      for device in hides { #expect(!ada.sees(Array(device.utf8)), "\(did) \(device)") }
    }
    #expect(
      try principal("\"uid\":\"ada\",\"did\":\"A-*\"", deviceIDs: .uuid).sees(Array("a-1".utf8)))
    for did in ["1", "null", "[1]", "[\"a b\"]", "\"a/b\"", "{}"] {
      #expect(throws: TokenFault.claims) { try principal("\"uid\":\"ada\",\"did\":\(did)") }
    }
  }

  @Test func `a token is limited to its users, whatever their names`() throws {
    let ada = try principal("\"uid\":\"ada\"")
    #expect(ada.users?.text == "=ada" && ada.sees(kind: "user", ref: "ada"))
    #expect(!ada.sees(kind: "user", ref: "bob") && !ada.sees(kind: "tag", ref: "ada"))
    let two = try principal("\"uid\":[\"ada\",\"b o|b\"]")
    #expect(two.users?.text == "=ada=b%20o%7Cb" && two.name == "ada,b%20o%7Cb")
    let again = try principal("\"uid\":[\"b o|b\",\"ada\",\"ada\"]")
    #expect(again.key == two.key && again.users?.text == two.users?.text)
    #expect(try principal("\"uid\":[\"ada\",\"ada\"]").key == ada.key)
    #expect(TokenVerifier.id(of: "a@b.c+1") == "a@b.c+1" && TokenVerifier.id(of: "*") == "%2A")
    // No two names become the same one.
    let names = ["a|b", "a%7Cb", "a%257Cb", "%", "%%", "a%", "*", "%2A", "**"]
    #expect(Set(names.map { TokenVerifier.id(of: $0) }).count == names.count)
    #expect(try principal("\"uid\":\"a*\"").users?.has("ab") == false)
  }

  @Test func `what is kept for a token's requests is named by a short key of its own`() throws {
    let long = String(repeating: "x", count: 65)
    let keys = try ["\"ada\"", "[\"ada\",\"bob\"]", "[\"ada,bob\"]", "\"\(long)\"", "\"\(long)x\""]
      .map { try principal("\"uid\":\($0)").key }
    #expect(Set(keys).count == keys.count && keys[0] == "jwt:ada")
    #expect(keys.allSatisfy { $0.utf8.count <= 68 })
  }

  // MARK: Keys

  @Test func `a set has keys of the four algorithms, and others are passed over`() throws {
    let keys = try Self.keys(
      Self.set(
        Self.octKey, Self.rsaKey, Self.ecKey, Self.edKey,
        "{\"kty\":\"EC\",\"crv\":\"P-384\"}", "{\"kty\":\"new\"}",
        "{\"kty\":\"oct\",\"use\":\"enc\"}",
        "{\"kty\":\"RSA\",\"alg\":\"PS256\",\"n\":\"AA\"}",
        "{\"kty\":\"oct\",\"key_ops\":[\"sign\"]}"))
    #expect(keys.candidates(id: nil).map(\.algorithm) == [.hs256, .rs256, .es256, .edDSA])
    #expect(keys.candidates(id: "x").count == 4, "keys without a name may be meant")
  }

  @Test(arguments: [
    ("{\"keys\":[]}", "no key for signatures"), ("{}", "no JWK set"), ("[]", "neither a JWK set"),
    ("{\"keys\":[1]}", "key 1 is no object"), ("", "neither a JWK set"),
    (
      set("{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"a\"}"),
      "key 'a' cannot be used: its secret has 3"
    ),
    (set("{\"kty\":\"oct\",\"k\":\"A A\"}"), "key 1 cannot be used: its \"k\""),
    (set("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}"), "bits"),
    (set(ecKey.replacing("VEU\"", with: "VEY\"")), "no valid public key"),
    (set("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}"), "32 bytes"),
    (set(edKey.replacing("\"x\"", with: "\"d\":\"AA\",\"x\"")), "private key"),
    (set(rsaKey.replacing("\"e\"", with: "\"p\":\"AA\",\"e\"")), "private key"),
    (set(edKey.replacing("\"x\"", with: "\"kid\":5,\"x\"")), "its \"kid\" is no text"),
    (set(rsaKey.replacing("AQAB", with: "AQ")), "no RSA key"),
    (set(rsaKey.replacing("AQAB", with: "Ag")), "no RSA key"),
    (set(rsaKey.replacing("XpoQ", with: "XpoA")), "no RSA key"),
    (set(smallOrder("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")), "small order"),
    (set(smallOrder("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")), "small order"),
    (set(smallOrder("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA")), "small order"),
    (set(smallOrder("7f_______________________________________38")), "small order"),
    (set(smallOrder("7P_______________________________________38")), "small order"),
    (set(smallOrder("7v_______________________________________38")), "small order"),
    (set(smallOrder("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o")), "small order"),
    (
      "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
        + "-----END PUBLIC KEY-----\n", "small order"
    ),
    (set(smallOrder("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU")), "small order"),
    (
      set(edKey, ecKey).replacing("\"crv\"", with: "\"kid\":\"k\",\"crv\""),
      "another one has the same name"
    ),
    ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key"),
    ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no valid public key"),
    ("-----BEGIN PUBLIC KEY-----\nAAAA", "corrupt"),
    ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no valid certificate"),
    ("-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n", "none of PUBLIC KEY"),
  ])
  func `a file with a key that cannot be used is refused, and says which`(
    text: String, part: String
  ) {
    do throws(TokenKeysError) {
      _ = try Self.keys(text)
      Issue.record("accepted: \(text)")
    } catch {
      #expect(error.description.contains(part), "\(error)")
      #expect(error.description.hasPrefix("keys.json"), "\(error)")
    }
  }

  // MARK: Beside secrets

  @Test func `a bearer is a token unless it begins with a principal's name`() throws {
    let verifier = TokenVerifier(try Self.keys(Self.oct()), TokenRules())
    let token = Self.token(Self.claims())
    let line = try NewPrincipal(name: "eyJ", secret: nil, grants: []).line
    let principals = try PrincipalFile.parse(line)
    let kind = { (principals: Principals, text: String) in
      Array(text.utf8).withUnsafeBufferPointer { principals.kind(ofBearer: $0) }
    }
    #expect(kind(principals.with(verifier), token) == .jwt)
    for text in ["eyJ.a.b", "app.x", "ey.x", "eyJhbGciOiJIUzI1NiJ9.a.b.c", ""] {
      #expect(kind(principals.with(verifier), text) == .secret, "\(text)")
    }
    #expect(kind(principals, token) == .secret)
  }

  @Test func `a token's principal stays while its key does`() throws {
    let known = try Self.keys(Self.oct())
    let ada = try check(Self.token(Self.claims()), known)
    let principals = { (text: String) in
      Principals([]).with(TokenVerifier(try Self.keys(text), TokenRules()))
    }
    #expect(try principals(Self.oct()).current(ada) === ada)
    #expect(try principals(Self.oct("\"kid\":\"other\"")).current(ada) === ada)
    #expect(try principals(Self.set(Self.octKey)).current(ada) == nil)
    #expect(Principals([]).current(ada) == nil)
  }
}
