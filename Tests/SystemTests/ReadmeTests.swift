// README as a newcomer follows it: its blocks are pasted as they stand, on a PATH that holds only
// what a bare Debian and `scripts/up` bring, and print what they show.

import Foundation
import Testing

/// A fenced block of README with commands behind `$ `, and what each is shown to print.
private struct ConsoleBlock: Sendable {
  struct Step: Sendable {
    var command: String
    var shown: [String] = []
  }

  private(set) var steps: [Step] = []

  var commands: [String] { steps.map(\.command) }

  static func all() throws -> [ConsoleBlock] {
    var blocks: [ConsoleBlock] = []
    var open: ConsoleBlock?
    for line in try Project.text("README.md").split(
      separator: "\n", omittingEmptySubsequences: false)
    {
      if line == "```console" {
        open = ConsoleBlock()
      } else if line == "```" {
        if let block = open { blocks.append(block) }
        open = nil
      } else if line.hasPrefix("$ ") {
        open?.steps.append(Step(command: String(line.dropFirst(2))))
      } else if let count = open?.steps.count, count > 0 {
        open?.steps[count - 1].shown.append(String(line))
      }
    }
    return blocks
  }
}

/// A copy of the files that a newcomer has after a clone and a build, and the tools of that
/// machine.
private struct Newcomer {
  let folder: String
  let tools: String

  /// The programs of Debian's essential packages that the blocks and scripts/up use, and what
  /// scripts/up installs beside libraries: redis-server, with redis-cli.
  private static let programs = [
    "apt-get", "bash", "cat", "dirname", "dpkg-query", "env", "id", "mkdir", "redis-cli",
    "redis-server", "rm", "setpriv", "sh", "uname",
  ]

  init() throws {
    let files = FileManager.default
    folder = try Scratch.folder("newcomer")
    tools = folder + "/tools"
    try files.createDirectory(atPath: tools, withIntermediateDirectories: true)
    try files.createDirectory(
      atPath: folder + "/.build/release", withIntermediateDirectories: true)
    try files.copyItem(
      atPath: Project.root.appending(path: "scripts").path, toPath: folder + "/scripts")
    let binary = URL(filePath: WorkerProcess.binary).standardizedFileURL.path
    for place in [folder + "/.build/release/latchkey", tools + "/latchkey"] {
      try files.createSymbolicLink(atPath: place, withDestinationPath: binary)
    }
    let places = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
    for name in Self.programs {
      let found = places.map { "\($0)/\(name)" }.first { files.isExecutableFile(atPath: $0) }
      guard let found else { throw Failure("this machine has no \(name)") }
      try files.createSymbolicLink(atPath: "\(tools)/\(name)", withDestinationPath: found)
    }
    // The toolchain: everything is built already.
    let swift = "#!/bin/sh\necho 'Swift version 6.2 (stand-in)'\n"
    try swift.write(toFile: tools + "/swift", atomically: true, encoding: .utf8)
    try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: tools + "/swift")
  }

  func environment(_ more: [String: String] = [:]) -> [String: String] {
    ["PATH": tools, "HOME": folder].merging(more) { $1 }
  }

  /// A shell into which commands are pasted.
  func shell(_ script: String, _ more: [String: String], _ name: String) throws -> Child {
    try Child(
      ["/bin/bash", "-c", script], folder: folder, output: "\(folder)/\(name).out",
      errors: "\(folder)/\(name).err", environment: environment(more))
  }

  func text(_ name: String) -> String {
    String(
      decoding: FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data(), as: UTF8.self)
  }
}

extension SystemSuites {
  @Suite struct Readme {
    /// A line whose numbers, which differ from run to run, are all the same.
    private func normal(_ line: some StringProtocol) -> String {
      String(line).replacing(/[0-9]+/, with: "0")
    }

    @Test
    func `the first screens have the output that they show, with only the packages of scripts/up`()
      throws
    {
      let blocks = try ConsoleBlock.all()
      let newcomer = try Newcomer()
      // Other workers may be on this machine's port 5282; all else is as pasted.
      let anywhere = ["LATCHKEY_LISTEN": "127.0.0.1:0", "LATCHKEY_ADMIN": "127.0.0.1:0"]
      #expect(blocks[0].commands == ["pip install ./latchkey_server-*.whl", "latchkey serve"])
      // scripts/up runs the same worker, from a checkout.
      let up = try newcomer.shell("exec scripts/up", anywhere, "up")
      defer { up.end() }
      let ready = try eventually("the ready line: \(newcomer.text("up.err"))", within: .seconds(20))
      {
        if let ending = up.check() { throw Failure("\(ending): \(newcomer.text("up.err"))") }
        let text = newcomer.text("up.out")
        return text.hasSuffix("\n") ? text : nil
      }
      #expect(normal(ready) == blocks[0].steps[1].shown.map { normal($0) + "\n" }.joined())
      let place = try #require(ready.firstMatch(of: #/listen=([^ ]+)/#)).1
      let caller = ["LATCHKEY_TO": String(place)]

      #expect(blocks[2].commands.count == 1)
      let watch = try newcomer.shell("exec " + blocks[2].commands[0], caller, "watch")
      defer { watch.end() }
      // The worker knows of the watch when it counts it.
      let admin = try #require(ready.firstMatch(of: #/admin=127\.0\.0\.1:([0-9]+)/#)).1
      let port = try #require(Int(admin))
      try eventually("the watch") {
        let page = try HTTPReply.get("/metrics", port: port).body
        return page.contains("\nlatchkey_watches 1\n")
      }
      try paste(blocks[1], newcomer, caller)
      try eventually("what the third terminal shows", within: .seconds(10)) {
        normal(newcomer.text("watch.out"))
          == blocks[2].steps[0].shown.map { normal($0) + "\n" }
          .joined()
      }
      try runProgram(on: String(place))
    }

    /// Runs a block in one shell, and compares each command's output with the page.
    private func paste(
      _ block: ConsoleBlock, _ newcomer: Newcomer, _ environment: [String: String]
    ) throws {
      let script = block.commands.map { "echo '@@'\n\($0) 2>&1\n" }.joined()
      let shell = try newcomer.shell(script, environment, "paste")
      _ = try shell.wait("the pasted block", within: .seconds(20))
      let outputs = newcomer.text("paste.out").components(separatedBy: "@@\n").dropFirst()
      #expect(outputs.count == block.steps.count)
      for (step, output) in zip(block.steps, outputs) {
        let lines = output.split(separator: "\n").map { normal($0) }
        #expect(lines == step.shown.map { normal($0) }, "\(step.command): \(output)")
      }
      #expect(newcomer.text("paste.err").isEmpty, "\(newcomer.text("paste.err"))")
    }

    /// The function in Python, with the client of the project.
    private func runProgram(on place: String) throws {
      let text = try Project.text("README.md")
      let program = try #require(text.firstMatch(of: /```python\n([\s\S]*?)```/)).1
      let client = Project.root.appending(path: "clients/python/src").path
      let run = try ProgramRun(
        command: ["/usr/bin/env", "python3", "-B", "-c", String(program)],
        environment: ["LATCHKEY_TO": place, "PYTHONPATH": client])
      #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
      #expect(run.output == "You said: Tuesday?\n", "\(run.output)")
    }

    @Test func `several workers on one Redis start as it is shown`() throws {
      let blocks = try ConsoleBlock.all()
      let block = try #require(blocks.first { $0.commands.contains { $0.contains("--auth") } })
      let redis = try RedisServer(
        .init(appendOnly: true, listens: true, extra: ["--notify-keyspace-events", "Ex"]))
      defer { redis.stop() }
      let newcomer = try Newcomer()
      let commands = block.commands.map {
        $0.replacing("10.0.0.5:6379", with: "127.0.0.1:\(redis.port)")
          .replacing(":5282", with: ":0").replacing(":5283", with: ":0")
      }
      let script = "set -e\n" + commands.joined(separator: "\n")
      let shell = try newcomer.shell(script, [:], "fleet")
      defer { shell.end() }
      try eventually("the ready line", within: .seconds(20)) {
        if let ending = shell.check() { throw Failure("\(ending): \(newcomer.text("fleet.err"))") }
        return newcomer.text("fleet.out").contains("\nready listen=0.0.0.0:")
      }
      #expect(newcomer.text("fleet.out").contains("\nfit\n"), "\(newcomer.text("fleet.out"))")
      #expect(newcomer.text("principals").hasPrefix("scheduler "))
      #expect(newcomer.text("fleet.err").contains("the secret, shown once: scheduler."))
    }

    @Test func `the scripts and flags that are named exist`() throws {
      let blocks = try ConsoleBlock.all()
      let commands = blocks.flatMap(\.commands)
      let scripts = Set(
        commands.filter { $0.hasPrefix("scripts/") }.compactMap {
          $0.split(separator: " ").first.map(String.init)
        })
      #expect(scripts.count >= 4)
      for script in scripts {
        let path = Project.root.appending(path: script).path
        let run = try ProgramRun(command: ["/bin/bash", path, "--help"])
        #expect(run.status == 0 && !run.output.isEmpty, "\(script): \(run.errors)")
      }
      let load = try #require(commands.first { $0.hasPrefix("latchkey load ") })
      let help = try ProgramRun(["load", "--help"]).output
      for flag in load.split(separator: " ") where flag.hasPrefix("--") {
        #expect(help.contains("  \(flag) "), "\(flag)")
      }
    }
  }
}
