// `latchkey call` from outside: its arguments, its flags and its output.

import Foundation
import Glibc
import Testing

extension SystemSuites {
  @Suite(.lab()) struct CallCommand {
    private func call(
      _ words: [String], environment: [String: String] = [:], input: String? = nil
    ) throws -> ProgramRun {
      let to = "127.0.0.1:\(try Lab.current.worker.listenPort)"
      return try ProgramRun(
        ["call"] + words, environment: ["LATCHKEY_TO": to].merging(environment) { $1 },
        input: input)
    }

    /// The reply of GET for a device's session.
    private func record(_ device: String) throws -> Reply {
      try Lab.current.connect().request("GET \(device)")
    }

    @Test func `an argument with spaces or line breaks becomes a JSON string`() throws {
      let device = Lab.device()
      let open = try call(["OPEN", device, "name=two words", "step=a\nb \"c\"", #"{"k": "v  v"}"#])
      #expect(open.status == 0, "\(open.output)\(open.errors)")
      #expect(try record(device).string("name") == "two words")
      #expect(try record(device).string("step") == "a\nb \"c\"")
      #expect(try record(device).shows("fields", as: #"{"k":"v  v"}"#))
      let quoted = try call(["SET", device, #"name="is quoted""#, "phase=bare"])
      #expect(quoted.status == 0, "\(quoted.output)")
      #expect(try record(device).string("name") == "is quoted")
      let reason = try call(["CLOSE", device, "failed", "reason=a=b c"])
      #expect(reason.status == 0, "\(reason.output)")
      #expect(try record(device).string("reason") == "a=b c")
      // A word that is no option: not two words, and none that is dropped.
      for words in [["GET", "\(device) x"], ["GET", ""], ["HOLDER", "a\nPING"]] {
        #expect(try call(words).output.hasPrefix("ERR bad_request"), "\(words)")
      }
    }

    @Test func `JSON may have several lines, and may come from standard input`() throws {
      let device = Lab.device()
      #expect(try call(["OPEN", device, "{\n\t\"a\": \"x y\",\r\n \"b\": 1 }"]).status == 0)
      #expect(try record(device).shows("fields", as: #"{"a":"x y","b":1}"#))
      let said = try call(["SAY", device, "-"], input: "{\n \"text\": \"grüß dich\"\n}\n")
      #expect(said.output.contains("\"seq\":1"), "\(said.output)\(said.errors)")
      let history = try Lab.current.connect().request("HISTORY \(device)")
      #expect(history.raw.contains("grüß dich"), "\(history)")
      #expect(try call(["SAY", device, "\n {\"text\":1}\n"]).output.contains("\"seq\":2"))
      #expect(try call(["SAY", device, "-"], input: "\u{FEFF}{}").errors.contains("U+FEFF"))
      for input in ["", "word", "{\"a\":\"b\nc\"}"] {
        let run = try call(["SAY", device, "-"], input: input)
        #expect(run.status == 2 && run.output.isEmpty && !run.errors.isEmpty, "\(input)")
      }
    }

    @Test func `a request that it gives up is not delivered later: the connection is reset`() throws
    {
      let listener = try TestSocket.listen()
      defer { close(listener.descriptor) }
      let run = Background {
        try ProgramRun(["call", "--to", "127.0.0.1:\(listener.port)", "--timeout", "50ms", "PING"])
      }
      let worker = try #require(
        try TestSocket.accept(listener.descriptor, within: .seconds(10)))
      #expect(try worker.receive(within: .seconds(10)) == Array("PING\n".utf8))
      // ECONNRESET is 104; an end in order would be no bytes.
      #expect(throws: Failure.self) { try worker.receive(within: .seconds(10)) }
      #expect(try run.join().status == 3)
    }

    @Test func `text that is not UTF-8 is refused and nothing is stored`() throws {
      let device = Lab.device()
      let program = try ProgramRun(
        shell: "exec \"$0\" call --to 127.0.0.1:\(Lab.current.worker.listenPort) "
          + "OPEN \(device) \"$(printf 'name=a\\377b')\"")
      #expect(program.status == 2)
      #expect(program.errors.contains("not valid UTF-8"), "\(program.errors)")
      #expect(try record(device).raw == "NONE")
      let input = try call(["SAY", device, "-"], input: nil)
      #expect(input.status == 2, "an empty standard input is no payload")
    }

    @Test func `flags end at the verb or at two dashes, and each has an effect or is refused`()
      throws
    {
      let device = "--" + Lab.device()
      #expect(try call(["--", "LOCK", device, "a"]).status == 0)
      #expect(try call(["LOCK", device, "b"]).status == 1)
      let refused: [([String], String)] = [
        (["PING", "--json"], "before the verb"), (["--frob", "PING"], "--frob"),
        (["--json", "--json", "PING"], "twice"), (["--to"], "--to"), (["--to=", "PING"], "--to"),
        (["--json=1", "PING"], "--json"), (["--timeout", "soon", "PING"], "--timeout"),
        (["--timeout", "0", "PING"], "--timeout"), (["WATCH", "*"], "latchkey watch"),
        (["watch"], "latchkey watch"), (["WATCH dev-1"], "latchkey watch"),
      ]
      for (words, named) in refused {
        let run = try call(words)
        #expect(run.status == 2 && run.output.isEmpty, "\(words): \(run.output)")
        #expect(run.errors.contains(named), "\(words): \(run.errors)")
      }
      let variable = try call(["PING"], environment: ["LATCHKEY_JSON": "maybe"])
      #expect(variable.status == 2 && variable.errors.contains("LATCHKEY_JSON"))
    }

    @Test func `with --json the JSON alone is printed`() throws {
      let device = Lab.device()
      let grant = try call(["--json", "LOCK", device, "a"])
      #expect(grant.output.hasPrefix("{\"agent\":\"a\",") && grant.status == 0, "\(grant.output)")
      let held = try call(["LOCK", device, "b"], environment: ["LATCHKEY_JSON": "1"])
      #expect(held.output.hasPrefix("{\"agent\":\"a\",") && held.status == 1, "\(held.output)")
      let none = try call(["--json", "HOLDER", Lab.device()])
      #expect(none.output == "{\"reply\":\"NONE\"}\n" && none.status == 1)
      #expect(try call(["--json", "PING"]).output == "{\"reply\":\"OK\"}\n")
      let error = try call(["--json", "LOCK", device])
      #expect(error.status == 2)
      let body = try JSONSerialization.jsonObject(with: Data(error.output.utf8))
      let members = body as? [String: String] ?? [:]
      #expect(members["reply"] == "ERR" && members["code"] == "bad_request", "\(error.output)")
      #expect(members["text"]?.isEmpty == false)
    }

    @Test func `a request that waits has its own time beside that of the reply`() throws {
      let run = try call(["--timeout", "100ms", "EVENTS", Lab.device(), "wait=400ms"])
      #expect(run.status == 0, "\(run.output)\(run.errors)")
    }

    @Test(arguments: ["serve", "call", "watch", "load", "doctor", "secret"])
    func `each command explains itself`(command: String) throws {
      let long = try ProgramRun([command, "--help"])
      #expect(long.status == 0 && long.output.contains("latchkey \(command)"), "\(long.errors)")
      #expect(try ProgramRun(["help", command]).output == long.output)
      let top = try ProgramRun(["help"]).output
      #expect(top.contains("\n  \(command) "), "\(top)")
    }
  }
}
