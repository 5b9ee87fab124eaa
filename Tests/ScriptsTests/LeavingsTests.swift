// Owns: the tests of what goes with a session, and of what stays for the others of its device.

import Scripts
import Testing
import TestSupport

struct LeavingsTests {
  private let bench: ScriptBench

  init() throws { bench = try ScriptBench() }

  private func open(_ session: String, of device: String) throws {
    let clocks = "0 0 0 60000 60000 0"
    let request = [device, session, "\"t\"", clocks, "no", "", "", "", "", ""]
    #expect(try bench.run(.open, request).word == "OK")
  }

  private func line(of device: String) throws -> RedisValue {
    try bench.redis.command("HGET", bench.base + ":devices", device)
  }

  @Test func `a device is forgotten with its last session, whatever others are called`() throws {
    let neighbours = ["d.", "d0", "d-", "dd", "D", "d:"]
    for device in neighbours { try open("N", of: device) }
    try open("S1", of: "d")
    try open("S2", of: "d")
    #expect(try line(of: "d") == .text("2 S2"))
    #expect(try bench.run(.delete, "d", "S2", "", "").word == "OK")
    #expect(try line(of: "d") == .text("1 S2"))
    #expect(try bench.run(.delete, "d", "S1", "", "").word == "OK")
    #expect(try line(of: "d") == .null)
    for device in neighbours { #expect(try line(of: device) == .text("1 N")) }
  }
}
