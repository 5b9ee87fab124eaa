// Owns: where `call`, `watch` and `load` get their secret from. Main thread.

import LatchkeyClient

/// The caller's secret; it never stands on a command line, which others can see.
enum CallerSecret {
  static let usage = """
      --secret-file F  says AUTH with the secret in that file first (or LATCHKEY_SECRET_FILE; the
                       secret itself in LATCHKEY_SECRET)
    """

  /// Reads the file if there is one, else the environment; nil without either.
  static func read(_ file: String?, command: String) -> String? {
    guard let file else {
      let text = Console.environment()["LATCHKEY_SECRET"] ?? ""
      return text.isEmpty ? nil : checked(text, command)
    }
    guard let text = Console.text(ofFile: file, bytesMax: 4_096) else {
      Console.fail("latchkey \(command): \(file) cannot be read\n", status: 2)
    }
    return checked(text, command)
  }

  /// A secret is one word; what is not would be half of a request.
  private static func checked(_ text: String, _ command: String) -> String {
    let secret = text.trimmingSpace()
    guard !secret.isEmpty, secret.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
      Console.fail("latchkey \(command): the secret is not one word\n", status: 2)
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
