// The function handlers that the manual shows, against real workers and a network that goes dead.

import Foundation
import Testing

extension SystemSuites.Deploy {
  @Suite(
    .lab(.durable, workers: [["--request-timeout", "10s"], ["--request-timeout", "10s"]])
  ) struct Serverless {
    /// How many messages the device's conversation has.
    private func messages(_ device: String) throws -> Int {
      guard
        case .array(let all) = try Lab.current.connect(1).request("HISTORY \(device)/current")
          .json()["messages"]
      else { throw Failure("no history") }
      return all.count
    }

    /// `turn` is its number in the conversation, from 1, where each has two messages.
    private func expectAnswered(
      _ answer: JSON, _ turn: Int, at place: SourceLocation = #_sourceLocation
    ) {
      let expected = JSON.object(["status": .string("answered"), "seq": .int(2 * turn)])
      #expect(answer == expected, sourceLocation: place)
    }

    /// Sends an event again until its outcome is known, as a platform does; so the speed of the
    /// machine does not matter.
    ///
    /// Of a turn whose end had no reply, `over` is what a later delivery can know.
    private func expectAnswered(
      _ function: FunctionProcess, _ id: String, _ device: String, _ turn: Int
    ) throws {
      let answer = try eventually("a known outcome of \(id)", within: .seconds(60)) {
        let answer = try function.invoke(id, device, "message \(id)")
        return answer["status"] == .string("unknown") ? nil : answer
      }
      if answer["status"] == .string("over") {
        #expect(answer["seq"] == .int(2 * turn - 1))
      } else {
        expectAnswered(answer, turn)
      }
    }

    @Test(arguments: FunctionLanguage.allCases)
    func `a warm function keeps its connection, and an event that comes again is done once`(
      language: FunctionLanguage
    ) throws {
      let lab = try Lab.current
      let proxy = try FreezingProxy(before: lab.worker)
      defer { proxy.stop() }
      let function = try FunctionProcess(language, to: proxy.port, replySeconds: 30)
      defer { function.end() }
      let device = Lab.device()
      for turn in 1...3 {
        expectAnswered(try function.invoke("e\(turn)", device, "no \(turn)"), turn)
      }
      let over = JSON.object(["status": .string("over"), "seq": .int(3)])
      #expect(try function.invoke("e2", device, "no 2") == over)
      #expect(try messages(device) == 6)
      #expect(proxy.acceptedCount == 1)
      let other = Lab.device()
      expect(try lab.connect().request("LOCK \(other) billing"), "OK")
      let held = try function.invoke("e4", other, "mine?")
      #expect(held["status"] == .string("held"))
      #expect(held["detail"]?.string?.contains("billing") == true)
      // The same event tries anew when the device is free.
      expect(try lab.connect().request("CLEAR \(other)"), "OK")
      expectAnswered(try function.invoke("e4", other, "mine?"), 1)
      // And it is answered once, though the lock was another one when the event came again.
      expect(try lab.connect().request("CLEAR \(other)"), "OK")
      #expect(try function.invoke("e4", other, "mine?")["status"] == .string("over"))
      #expect(try messages(other) == 2)
      let long = String(repeating: "x", count: 513)
      #expect(try function.invoke(long, device, "bad id")["status"] == .string("err"))
      // Pasted text, with control characters and half of a surrogate pair; ids of any text.
      let pasted = #"\u007f\u0093quoted\u0094 \u009b31m\u2028\ud83d "#
      expectAnswered(try function.invoke("e 5/\u{E9}", "caf\u{E9} !*'()~\(device)", pasted), 1)
      let encoded = "caf%C3%A9%20!*'()~\(device)"
      let kept = try lab.connect(1).request("HISTORY \(encoded)/current last=2").raw
      // JSON.stringify leaves them as they are, json.dumps escapes them.
      let texts = ["\u{7F}\u{93}quoted\u{94} \u{9B}31m", #"\u007f\u0093quoted\u0094 \u009b31m"#]
      #expect(texts.contains { kept.contains($0) } && kept.contains("\\ud83d \""), "\(kept)")
      #expect(proxy.acceptedCount == 1, "what is answered does not cost the connection")
    }

    @Test(arguments: FunctionLanguage.allCases)
    func `messages of one device are answered one at a time, whichever function has them`(
      language: FunctionLanguage
    ) throws {
      let lab = try Lab.current
      let device = Lab.device()
      let functions = try (0..<4).map { number in
        try FunctionProcess(language, to: lab.workers[number % 2].listenPort, replySeconds: 30)
      }
      defer { for function in functions { function.end() } }
      let answers = try inParallel(functions.count) { number in
        try functions[number].invoke("e\(number)", device, "no \(number)")
      }
      #expect(answers.compactMap { $0["seq"]?.int }.sorted() == [2, 4, 6, 8], "\(answers)")
      let history = try lab.connect().request("HISTORY \(device)/current").json()["messages"]
      guard case .array(let all) = history else { throw Failure("no history") }
      let texts = all.compactMap { $0["message"]?["text"]?.string }
      #expect(texts.count == 8)
      for turn in 0..<texts.count / 2 {
        #expect(texts[2 * turn + 1] == "You said: \(texts[2 * turn])")
      }
    }

    @Test(arguments: FunctionLanguage.allCases)
    func `a function that was frozen while its worker died goes on with another one`(
      language: FunctionLanguage
    ) throws {
      let lab = try Lab.current
      let first = try WorkerProcess(on: lab.redis)
      defer { first.kill() }
      let proxy = try FreezingProxy(before: first)
      defer { proxy.stop() }
      let function = try FunctionProcess(language, to: proxy.port, replySeconds: 30)
      defer { function.end() }
      let device = Lab.device()
      expectAnswered(try function.invoke("e1", device, "before"), 1)
      try function.freeze()
      first.kill()
      proxy.lead(to: lab.worker)
      function.thaw()
      expectAnswered(try function.invoke("e2", device, "after"), 2)
      #expect(try messages(device) == 4)
    }

    @Test(arguments: FunctionLanguage.allCases)
    func `a connection that went dead without a word is noticed and replaced`(
      language: FunctionLanguage
    ) throws {
      let proxy = try FreezingProxy(before: Lab.current.worker)
      defer { proxy.stop() }
      let function = try FunctionProcess(language, to: proxy.port, replySeconds: 0.5)
      defer { function.end() }
      let device = Lab.device()
      try expectAnswered(function, "e1", device, 1)
      proxy.freeze()
      try expectAnswered(function, "e2", device, 2)
      // A reply that is lost after its request was done: tried again, not done again.
      proxy.lose(1, repliesTo: "DONE ")
      try expectAnswered(function, "e3", device, 3)
      #expect(try messages(device) == 6)
      #expect(proxy.acceptedCount >= 3)
    }

    @Test(arguments: FunctionLanguage.allCases)
    func `an unknown outcome is reported as that, and the same event again settles it`(
      language: FunctionLanguage
    ) throws {
      let lab = try Lab.current
      let proxy = try FreezingProxy(before: lab.worker)
      defer { proxy.stop() }
      let function = try FunctionProcess(language, to: proxy.port, replySeconds: 0.4)
      defer { function.end() }
      let device = Lab.device()
      try expectAnswered(function, "e1", device, 1)
      proxy.lose(.max, repliesTo: "DONE ")
      let unknown = JSON.object(["status": .string("unknown")])
      #expect(try function.invoke("e2", device, "message e2") == unknown)
      try eventually("the answer, though no reply came") { try messages(device) == 4 }
      proxy.lose(0, repliesTo: "DONE ")
      let over = JSON.object(["status": .string("over"), "seq": .int(3)])
      #expect(try function.invoke("e2", device, "message e2") == over)
      #expect(try messages(device) == 4)
    }

    @Test(arguments: FunctionLanguage.allCases)
    func `a Redis that is away is reported, and service goes on when it is back`(
      language: FunctionLanguage
    ) throws {
      let lab = try Lab(.durable)
      defer { lab.stop() }
      let function = try FunctionProcess(language, to: lab.worker.listenPort, replySeconds: 30)
      defer { function.end() }
      let device = Lab.device()
      expectAnswered(try function.invoke("e1", device, "before"), 1)
      lab.redis.kill()
      let answer = try eventually("an answer without Redis", within: .seconds(30)) {
        let answer = try function.invoke("e2", device, "meanwhile")
        // A request that was with Redis at that moment has an unknown outcome.
        return answer["status"] == .string("unknown") ? nil : answer
      }
      #expect(answer["status"] == .string("err"))
      #expect(answer["detail"]?.string?.hasPrefix("unavailable") == true)
      try lab.redis.start()
      try eventually("service again", within: .seconds(30)) {
        try function.invoke("e2", device, "meanwhile")["seq"] == .int(4)
      }
    }

    @Test(arguments: FunctionLanguage.allCases)
    func `a function sends AUTH on each connection that it makes`(
      language: FunctionLanguage
    ) throws {
      let principals = try PrincipalsFile([("app", [])])
      let worker = try WorkerProcess(on: Lab.current.redis, ["--auth", principals.path])
      defer { worker.kill() }
      let proxy = try FreezingProxy(before: worker)
      defer { proxy.stop() }
      let function = try FunctionProcess(
        language, to: proxy.port, replySeconds: 1, secret: principals.secret("app"))
      defer { function.end() }
      let device = Lab.device()
      try expectAnswered(function, "e1", device, 1)
      proxy.freeze()
      try expectAnswered(function, "e2", device, 2)
      let stranger = try FunctionProcess(
        language, to: proxy.port, replySeconds: 30, secret: "app.wrong")
      defer { stranger.end() }
      for id in ["e3", "e4"] {
        let answer = try stranger.invoke(id, device, "let me in")
        #expect(answer["status"] == .string("err"))
        #expect(answer["detail"]?.string?.hasPrefix("forbidden") == true, "\(answer)")
      }
      #expect(!(function.errors + stranger.errors).contains("app."))
    }

    @Test func `the handlers have no type errors and need no package`() throws {
      let path = Project.root.appending(path: "deploy/serverless").path
      // Types of what Node brings are part of Deno.
      let check = try ToolRun("deno", ["check", "--no-remote", "--no-npm", "\(path)/handler.ts"])
      #expect(check.status == 0, "\(check)")
      let script = try Project.text("deploy/serverless/handler.ts")
      let modules = script.matches(of: /from "([^"]+)"/).map { $0.1 }
      #expect(modules.count > 1 && modules.allSatisfy { $0.hasPrefix("node:") })
      let names = try ToolRun(
        "python",
        [
          "-c",
          """
          import ast, sys
          tree = ast.parse(open(sys.argv[1], encoding="utf-8").read())
          names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
          names += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
          tops = {name.partition(".")[0] for name in names}
          sys.exit(not tops or not tops <= sys.stdlib_module_names)
          """, "\(path)/handler.py",
        ])
      #expect(names.status == 0, "\(names)")
    }
  }
}
