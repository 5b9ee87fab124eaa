// Owns: what is asked of each kind of server: the bytes of a request, and which reply is good.
// A value.

import Glibc
import Loop

/// The kind of server under load.
enum LoadTarget: String {
  case latchkey, redis
  /// Latchkey by HTTP.
  case http
  /// Redis by HTTP.
  case webdis

  /// The smallest lock script that is correct: one holder at a time, a TTL, a token that grows.
  ///
  /// It knows no deadlines index, no events, no notes and no idempotency keys.
  static let script = """
    local held = redis.call('GET', KEYS[1])
    if not held then
      local token = redis.call('INCR', KEYS[2])
      redis.call('SET', KEYS[1], token .. ' ' .. ARGV[1], 'PX', ARGV[2])
      return token
    end
    local token, agent = string.match(held, '^(%d+) (.*)$')
    if agent ~= ARGV[1] then return redis.error_reply('HELD ' .. agent) end
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return tonumber(token)
    """

  /// The first byte of a good reply, or of its body; it is one line with every server.
  var goodReplyByte: UInt8 {
    switch self {
    case .latchkey: UInt8(ascii: "O")
    case .http: UInt8(ascii: "{")
    case .redis, .webdis: UInt8(ascii: ":")
    }
  }

  /// One request that takes or renews the lock of `device` for `agent`, for a day.
  func request(device: String, agent: String, scriptHash: String) -> [UInt8] {
    switch self {
    case .latchkey: Array("LOCK \(device) \(agent)\n".utf8)
    case .http:
      Array(
        """
        POST /v1/LOCK/\(device)/\(agent) HTTP/1.1\r
        Host: localhost\r
        Content-Length: 0\r
        \r

        """.utf8)
    case .redis:
      LoadTarget.command([
        "EVALSHA", scriptHash, "2", "lock:\(device)", "token", agent, "86400000",
      ])
    case .webdis:
      // A path that ends in .raw is answered in Redis' own words, which costs Webdis the least.
      Array(
        """
        GET /EVALSHA/\(scriptHash)/2/lock:\(device)/token/\(agent)/86400000.raw HTTP/1.1\r
        Host: localhost\r
        \r

        """.utf8)
    }
  }

  static func command(_ words: [String]) -> [UInt8] {
    var text = "*\(words.count)\r\n"
    for word in words { text += "$\(word.utf8.count)\r\n\(word)\r\n" }
    return Array(text.utf8)
  }

  /// Loads the script and returns its hash; waits for the answer, before any load.
  static func loadScript(
    _ address: SocketAddress, secret: String? = nil
  ) throws(LoadFailure) -> String {
    do throws(SystemError) {
      let socket = try address.connect()
      defer { socket.close() }
      try waitUntil(POLLOUT, socket)
      let auth = secret.map { command(["AUTH", $0]) } ?? []
      let request = auth + command(["SCRIPT", "LOAD", script])
      _ = request.withUnsafeBytes { socket.write($0) }
      var text = ""
      // The hash is the last line, of two or, with an answer to AUTH, of three.
      while text.split(whereSeparator: \.isNewline).count < (secret == nil ? 2 : 3) {
        try waitUntil(POLLIN, socket)
        var reply = [UInt8](repeating: 0, count: 256)
        guard case .moved(let count) = reply.withUnsafeMutableBytes({ socket.read(into: $0) })
        else { throw SystemError("SCRIPT LOAD", ECONNRESET) }
        text += String(decoding: reply[..<count], as: UTF8.self)
        if text.hasPrefix("-") { break }
      }
      let lines = text.split(whereSeparator: \.isNewline)
      if let hash = lines.last, lines.dropLast().last == "$40" { return String(hash) }
      throw SystemError("SCRIPT LOAD gave \(lines)", EPROTO)
    } catch {
      throw LoadFailure(error)
    }
  }

  private static func waitUntil(_ readiness: Int32, _ socket: Socket) throws(SystemError) {
    var request = pollfd(fd: socket.descriptor, events: Int16(readiness), revents: 0)
    let count = try systemCall("poll") { poll(&request, 1, 5_000) }
    if count == 0 { throw SystemError("connect", ETIMEDOUT) }
  }
}
