// The server that the tests start: Redis or Valkey.

import Foundation

/// Which server it is.
enum Engine {
  /// Its file, or its name on the PATH.
  static let server = ProcessInfo.processInfo.environment["LATCHKEY_TEST_REDIS"] ?? "redis-server"

  /// Whether it has functions, which came with Redis 7.0: `Redis server v=7.0.15 sha=...`.
  static let hasFunctions: Bool = {
    let version = try? output([server, "--version"]).firstMatch(of: /v=(\d+)\./)
    return version.flatMap { Int($0.1) } ?? 7 >= 7
  }()

  /// Whether it was built with TLS: Debian's was, and most of those from PyPI were not.
  static let hasTLS = ProcessInfo.processInfo.environment["LATCHKEY_TEST_REDIS"] == nil

  /// The ways of calling scripts that it has.
  static let ways = hasFunctions ? ["function", "script"] : ["script"]

  private static func output(_ command: [String]) throws -> String {
    let (process, pipe) = (Process(), Pipe())
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    process.standardOutput = pipe
    try process.run()
    let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
  }
}
