// Owns: a network of its own for a Redis, whose packets can be dropped: nothing is reset, nothing
// is refused, and the kernels on both sides know nothing of it.

import Foundation

/// A network namespace with one link to this machine.
///
/// It is cut by addresses of the link layer that no device has: packets leave and are not taken.
final class CutNetwork: Sendable {
  /// The address in the namespace, and that on this machine.
  let inside: String
  private let outside: String
  private let name: String
  private var near: String { "\(name)a" }
  private var far: String { "\(name)b" }

  /// What a process is started with to run in the namespace.
  var command: [String] { ["ip", "netns", "exec", name] }

  /// Why there can be none here; nil if there can.
  static let obstacle: String? = {
    do {
      _ = try CutNetwork()
      return nil
    } catch {
      return "\(error)"
    }
  }()

  init() throws {
    name = "lk" + String(UInt32.random(in: 0..<(1 << 24)), radix: 36)
    let part = "10.231.\(UInt8.random(in: .min ... .max)).\(4 * Int.random(in: 0..<64))"
    let base = part.split(separator: ".")
    let last = Int(base[3]) ?? 0
    outside = base.prefix(3).joined(separator: ".") + ".\(last + 1)"
    inside = base.prefix(3).joined(separator: ".") + ".\(last + 2)"
    try ip("netns add \(name)")
    do {
      try ip("link add \(near) type veth peer name \(far)")
      try ip("link set \(far) netns \(name)")
      try ip("address add \(outside)/30 dev \(near)")
      try ip("link set \(near) up")
      try ip("-n \(name) address add \(inside)/30 dev \(far)")
      try ip("-n \(name) link set \(far) up")
    } catch {
      remove()
      throw error
    }
  }

  deinit { remove() }

  private func remove() {
    try? ip("link delete \(near)")
    try? ip("netns delete \(name)")
  }

  /// From now on no packet comes through, in either direction.
  func cut() throws {
    let address = "lladdr 02:00:00:00:00:99 nud permanent"
    try ip("neighbour replace \(inside) dev \(near) \(address)")
    try ip("-n \(name) neighbour replace \(outside) dev \(far) \(address)")
  }

  func heal() throws {
    try ip("neighbour delete \(inside) dev \(near)")
    try ip("-n \(name) neighbour delete \(outside) dev \(far)")
  }

  private func ip(_ words: String) throws {
    let command = ["/usr/bin/env", "ip"] + words.split(separator: " ").map(String.init)
    let run = try ProgramRun(command: command)
    guard run.status == 0 else { throw Failure("ip \(words): \(run.errors)") }
  }
}
