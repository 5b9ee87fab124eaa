// Owns: where `call`, `watch` and `load` get their secret from, or their token. Main thread.

import LatchkeyClient

/// The caller's secret or token; it never stands on a command line, which others can see.
enum CallerSecret {
  static let valued = ["--secret-file", "--token-file"]
  static let usage = """
      --secret-file F  says AUTH with the secret in that file first (or LATCHKEY_SECRET_FILE; the
                       secret itself in LATCHKEY_SECRET)
      --token-file F   the same with the token (JWT) or the ticket in that file (or
                       LATCHKEY_TOKEN_FILE; the token itself in LATCHKEY_TOKEN)
    """

  /// Reads what the flags or the environment name, as it stands behind AUTH; nil without any.
  static func read(_ flags: CommandFlags, command: String) -> String? {
    let token = token(flags["--token-file"], command)
    let secret = read(flags["--secret-file"], command: command)
    guard token == nil || secret == nil else {
      Console.fail("latchkey \(command): give a secret or a token, not both\n", status: 2)
    }
    return token ?? secret
  }

  private static func token(_ file: String?, _ command: String) -> String? {
    var text = Console.environment()["LATCHKEY_TOKEN"] ?? ""
    if let file {
      guard let read = Console.text(ofFile: file, bytesMax: 4_096) else {
        Console.fail("latchkey \(command): \(file) cannot be read\n", status: 2)
      }
      text = read
    } else if text.isEmpty {
      return nil
    }
    let token = checked(text, command, "token")
    return token.hasPrefix("t~") ? "ticket \(token)" : "jwt \(token)"
  }

  /// Reads the file if there is one, else the environment; nil without either.
  static func read(_ file: String?, command: String) -> String? {
    guard let file else {
      let text = Console.environment()["LATCHKEY_SECRET"] ?? ""
      return text.isEmpty ? nil : checked(text, command, "secret")
    }
    guard let text = Console.text(ofFile: file, bytesMax: 4_096) else {
      Console.fail("latchkey \(command): \(file) cannot be read\n", status: 2)
    }
    return checked(text, command, "secret")
  }

  /// A secret is one word; what is not would be half of a request.
  private static func checked(_ text: String, _ command: String, _ what: String) -> String {
    let secret = text.trimmingSpace()
    guard !secret.isEmpty, secret.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
      Console.fail("latchkey \(command): the \(what) is not one word\n", status: 2)
    }
    return secret
  }

  /// Says who is calling, if that is known, or ends with what the worker says to it.
  static func present(
    _ secret: String?, on connection: LatchkeyConnection, timeoutMs: Int64 = 2_000
  ) throws(LatchkeyError) {
    guard let secret else { return }
    let reply = try connection.authenticate(secret, timeoutMs: timeoutMs)
    if reply.word != .ok { Console.fail("\(reply.line)\n", status: 2) }
  }
}

extension String {
  /// Without the spaces and line ends at both ends.
  func trimmingSpace() -> String {
    let isSpace: (Character) -> Bool = { $0.isWhitespace }
    let rest = drop(while: isSpace)
    return String(rest.reversed().drop(while: isSpace).reversed())
  }
}
