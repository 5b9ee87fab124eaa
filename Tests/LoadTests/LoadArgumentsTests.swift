// Owns: the tests of the harness' command line: every flag, and every way to get one wrong.

import LatchkeyClient
import Loop
import Testing

@testable import Load

struct LoadArgumentsTests {
  private func parse(
    _ line: String, _ environment: [String: String] = [:]
  ) throws -> LoadOptions {
    let words = line.split(separator: " ").map(String.init)
    guard
      case .run(let options) = try LoadArguments.parse(
        words, environment: environment, randomSeed: 99)
    else { throw LoadArgumentError("help") }
    return options
  }

  private func refusal(_ line: String, _ environment: [String: String] = [:]) -> String {
    do {
      _ = try parse(line, environment)
      return ""
    } catch let error as LoadArgumentError {
      return error.text
    } catch {
      return "\(error)"
    }
  }

  @Test func `each flag sets its option`() throws {
    let options = try parse(
      """
      --to a:1,[::1]:2 --conversations 5000 --duration 2m --warmup 500ms --connect keep \
      --rate 125.5 --mix say=80,vanish=0 --size 400 --ttl 3s --timeout 1s --seed 7 --patience 5s \
      --chaos x --chaos-every 4s --json j --report r --secret-file s --group g \
      --tls --tls-ca c --tls-client-cert d --tls-client-key e
      """)
    #expect(options.tls?.authorities == "c" && options.tls?.certificate == "d")
    #expect(options.tls?.key == "e")
    #expect(try parse("--tls").tls != nil && parse("", ["LATCHKEY_TLS_CA": "f"]).tls != nil)
    #expect(options.targets == [.tcp(host: "a", port: 1), .tcp(host: "::1", port: 2)])
    #expect(options.conversations == 5_000)
    #expect([options.durationMs, options.warmupMs, options.ttlMs] == [120_000, 500, 3_000])
    #expect(
      [options.timeoutMs, options.patienceMs, options.chaosEveryMs] == [1_000, 5_000, 4_000])
    #expect(options.connect == .keep && options.rate == 125.5 && options.messageBytes == 400)
    #expect(options.mix.say == 80 && options.mix.vanish == 0 && options.mix.close == 5)
    #expect(options.seed == 7 && options.chaosCommand == "x")
    #expect(options.jsonPath == "j" && options.reportPath == "r")
    #expect(options.secretFile == "s" && options.group == "g")
  }

  @Test func `every flag has a default`() throws {
    let options = try parse("")
    #expect(options.targets == [.tcp(host: "127.0.0.1", port: 5282)])
    #expect(options.seed == 99 && options.rate == nil && options.secretFile == nil)
    #expect(try parse("--think=0").thinkMs == 0)
    #expect(try parse("--duration 3").durationMs == 3_000)
  }

  @Test func `the environment says where to, and the flag goes before`() throws {
    let environment = ["LATCHKEY_TO": "h:1"]
    #expect(try parse("", environment).targets == [.tcp(host: "h", port: 1)])
    #expect(try parse("--to i:2", environment).targets == [.tcp(host: "i", port: 2)])
  }

  @Test(arguments: [
    ("--tls-client-cert c", "together"), ("--tls=maybe", "not 'maybe'"),
    ("--to nowhere", "HOST:PORT"), ("--to a:1,", "HOST:PORT"), ("--to a:0", "HOST:PORT"),
    ("--conversations 0", "1 to 200000"), ("--conversations many", "not 'many'"),
    ("--duration 0", "from 100ms to 24h"), ("--duration 3x", "such as 500ms"),
    ("--duration 99999999999999999999s", "such as 500ms"), ("--ttl 5ms", "from 100ms"),
    ("--think 6m", "to 5m"), ("--connect always", "per-call or keep"),
    ("--rate 0", "messages a second"), ("--rate fast", "not 'fast'"),
    ("--mix say", "NAME=PERCENT"), ("--mix sing=1", "there are holder, touch"),
    ("--mix say=101", "0 to 100"), ("--mix close=60,vanish=50", "more than 100"),
    ("--seed -1", "whole number"), ("--size 10", "50 to 65536"),
    ("--chaos-every 5s", "give a --chaos too"), ("--chaos=", "empty"), ("--group=a/b", "not 'a/b'"),
    ("--rate 5 --think 1s", "not both"), ("--rate 0.01", "fewer --conversations"),
    ("--conversations", "needs a value"), ("--conversations 5 --conversations 6", "twice"),
    ("--colour red", "no flag '--colour'"), ("5000", "takes flags only"),
  ])
  func `an error names the wrong word and the right form`(line: String, words: String) {
    #expect(refusal(line).contains(words), "\(refusal(line))")
  }

  @Test func `the help names every flag and every part of the mix, and nothing else`() throws {
    for words in [["--help"], ["--seed", "-h"]] {
      guard case .help = try LoadArguments.parse(words, environment: [:], randomSeed: 0) else {
        Issue.record("\(words) is no call for help")
        continue
      }
    }
    let usage = LoadArguments.usage
    let named = Set(usage.matches(of: /--[a-z-]+/).map { String($0.0) })
    #expect(named == Set(LoadArguments.flags))
    for part in Mix.parts { #expect(usage.contains("\n  \(part.name) ")) }
    #expect(usage.split(separator: "\n").allSatisfy { $0.count <= 100 })
  }

  @Test func `a mix is written as it is read`() throws {
    var mix = Mix()
    mix.vanish = 2.5
    #expect(try Mix.parse(mix.text) == mix)
    #expect(try Mix.parse(Mix().text) == Mix())
  }
}
