// Owns: a process that runs one of the function handlers of deploy/serverless as a platform does:
// it is kept between invocations, and gets one event after the other.

import Foundation
import Glibc
import Testing

/// The languages in which there is a handler.
enum FunctionLanguage: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case python, typeScript

  var testDescription: String { rawValue }

  /// Loads the handler of a folder and answers each line of standard input with a line.
  fileprivate func command(_ folder: String) throws -> [String] {
    switch self {
    case .python:
      let driver = """
        import json, sys
        sys.path.insert(0, sys.argv[1])
        import handler
        for line in sys.stdin:
            print(json.dumps(handler.handler(json.loads(line))), flush=True)
        """
      return [try Tool.path("python"), "-B", "-c", driver, folder]
    case .typeScript:
      let driver = """
        import { createInterface } from "node:readline";
        const { handler } = await import(process.argv[1] + "/handler.ts");
        for await (const line of createInterface({ input: process.stdin }))
          console.log(JSON.stringify(await handler(JSON.parse(line))));
        """
      return [try Tool.path("node"), "--input-type=module", "-e", driver, folder]
    }
  }
}

/// A function that is warm.
final class FunctionProcess: Sendable {
  private let child: Child
  private let folder: String
  private let events: Int32
  private let answered = Shared(0)

  /// `replySeconds` is how long it waits for a reply; long, unless that is what a test is about.
  init(
    _ language: FunctionLanguage, to port: Int, replySeconds: Double, secret: String? = nil
  ) throws {
    folder = try Scratch.folder("function")
    let input = "\(folder)/input"
    guard mkfifo(input, 0o600) == 0 else { throw Failure("mkfifo: errno \(errno)") }
    events = open(input, O_RDWR | O_CLOEXEC)
    var environment = ["LATCHKEY_TO": "127.0.0.1:\(port)", "LATCHKEY_REPLY_S": "\(replySeconds)"]
    environment["LATCHKEY_SECRET"] = secret
    child = try Child(
      language.command(Project.root.appending(path: "deploy/serverless").path), folder: folder,
      output: "\(folder)/output", errors: "\(folder)/errors", environment: environment,
      input: input)
  }

  deinit { close(events) }

  func end() { child.end() }

  /// Stops it, as a platform does with a function between its invocations.
  func freeze() throws { try child.freeze() }

  func thaw() { child.signal(SIGCONT) }

  /// Gives it an event and waits for its result.
  func invoke(_ id: String, _ device: String, _ message: String) throws -> JSON {
    let event = #"{"id":"\#(id)","device":"\#(device)","message":{"text":"\#(message)"}}"# + "\n"
    let count = event.utf8.count
    guard event.withCString({ write(events, $0, count) }) == count else {
      throw Failure("the function's input takes no event: errno \(errno)")
    }
    let number = answered.update { number in
      number += 1
      return number
    }
    return try eventually("the answer of a function", within: .seconds(60)) {
      if let ending = child.check() { throw Failure("the function ended, \(ending): \(errors)") }
      let lines = text("output").split(separator: "\n", omittingEmptySubsequences: false)
      return lines.count > number ? try JSON(String(lines[number - 1])) : nil
    }
  }

  /// Its standard error.
  var errors: String { text("errors") }

  private func text(_ name: String) -> String {
    let bytes = FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data()
    return String(decoding: bytes, as: UTF8.self)
  }
}
