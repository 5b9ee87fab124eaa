// Owns: a file of principals that a test writes, and the secrets that go with it.

import Foundation

/// Principals as `latchkey secret` makes them.
final class PrincipalsFile: Sendable {
  let path: String
  private let lines = Shared<[String: String]>([:])
  private let secrets = Shared<[String: String]>([:])

  /// Begins with these, each with its grants.
  init(_ principals: [(name: String, grants: [String])]) throws {
    path = "\(try Scratch.folder("auth"))/principals"
    for (name, grants) in principals { try add(name, grants) }
    try write()
  }

  func secret(_ name: String) -> String { secrets.value[name] ?? "" }

  /// Makes one, or makes it anew with another secret; written by `write`.
  func add(_ name: String, _ grants: [String]) throws {
    let run = try ProgramRun(["secret", name] + grants)
    guard run.status == 0, let secret = run.errors.split(separator: " ").last else {
      throw Failure("latchkey secret \(name): \(run.errors)")
    }
    lines.update { $0[name] = run.output }
    secrets.update { $0[name] = secret.trimmingCharacters(in: .newlines) }
  }

  func remove(_ name: String) { lines.update { $0[name] = nil } }

  /// Gives the principal other grants and the same secret.
  func change(_ name: String, _ grants: [String]) throws {
    let file = "\(path).\(name)"
    try secret(name).write(toFile: file, atomically: true, encoding: .utf8)
    let run = try ProgramRun(["secret", name, "--secret-file", file] + grants)
    guard run.status == 0 else { throw Failure("latchkey secret \(name): \(run.errors)") }
    lines.update { $0[name] = run.output }
  }

  func write() throws {
    let text = lines.value.sorted { $0.key < $1.key }.map(\.value).joined()
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  /// A connection of one of them.
  func connect(_ worker: WorkerProcess, as name: String) throws -> LineClient {
    let client = try worker.connect()
    let reply = try client.request("AUTH \(secret(name))")
    guard reply.raw == "OK {\"name\":\"\(name)\"}" else { throw Failure("AUTH: \(reply)") }
    return client
  }
}
