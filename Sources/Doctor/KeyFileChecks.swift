// Owns: the checks of the files of keys by which workers verify tokens and tickets. Pure functions
// but for reading the files; any thread.

internal import Access
internal import Loop

/// What the doctor says of files of keys.
enum KeyFileChecks {
  /// The findings about the files that the options name.
  static func findings(_ options: DoctorOptions) -> [Finding] {
    let tokens = options.jwtKeysFile.map(tokens) ?? []
    return tokens + (options.ticketKeysFile.map(tickets) ?? [])
  }

  private static func tokens(_ path: String) -> [Finding] {
    do throws(TokenKeysError) {
      let keys = try TokenKeys.load(path)
      let count = keys.count == 1 ? "1 key" : "\(keys.count) keys"
      let read = Finding(
        .ok, .tokens, "\(count) of tokens: \(keys.algorithms.joined(separator: ", "))")
      return [read] + (keys.hasSecret ? others(path, .tokens) : [])
    } catch {
      return [
        Finding(
          .bad, .tokens, "--jwt-keys: \(error)",
          fix: "give the JWK set of the provider, or its public keys or certificates in PEM")
      ]
    }
  }

  private static func tickets(_ path: String) -> [Finding] {
    do throws(TicketKeysError) {
      let keys = try TicketKeys.load(path)
      let count = keys.count == 1 ? "1 key" : "\(keys.count) keys"
      return [Finding(.ok, .tickets, "\(count) of tickets")] + others(path, .tickets)
    } catch {
      return [
        Finding(
          .bad, .tickets, "--ticket-keys: \(path): \(error)",
          fix: "write a line ID:KEY, with KEY from 'openssl rand -base64 32'")
      ]
    }
  }

  /// The finding about a file of secrets that other users of the host may read.
  private static func others(_ path: String, _ check: Finding.Check) -> [Finding] {
    guard RegularFile.isReadByOthers(path) else { return [] }
    return [
      Finding(
        .warn, check, "other users of this host may read \(path), whose secrets sign",
        fix: "chmod o= \(path)")
    ]
  }
}
