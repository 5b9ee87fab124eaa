// The manual against the program: every example is run, every list is compared with the program's.

import Foundation
import Testing

/// A text file of the project.
private struct Page {
  let path: String
  let lines: [Substring]

  init(_ path: String) throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: path), encoding: .utf8)
    self.path = path
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// The cells of every row of every table; headings and rules are rows too.
  var tableRows: [[String]] {
    lines.filter { $0.hasPrefix("| ") && $0.hasSuffix(" |") }.map { line in
      line.dropFirst(2).dropLast(2).components(separatedBy: " | ")
    }
  }

  /// The lines under a heading, up to the next one.
  func section(_ heading: String) -> ArraySlice<Substring> {
    guard let start = lines.firstIndex(of: heading[...]) else { return [] }
    return lines[(start + 1)...].prefix { $0.prefixMatch(of: /#+\s/) == nil }
  }
}

/// The matches of `pattern` in a text.
private func words<Output>(
  in lines: some Sequence<Substring>, _ pattern: some RegexComponent<Output>,
  _ word: (Output) -> Substring
) -> Set<String> {
  Set(lines.flatMap { line in line.matches(of: pattern).map { String(word($0.output)) } })
}

// MARK: Examples

/// One fenced block of a page that shows a conversation with the worker.
private struct DocExample: Sendable, CustomTestStringConvertible {
  struct Step: Sendable {
    let line: Int
    /// The name of the connection, before `>` or `<`; mostly empty.
    let connection: String
    let isRequest: Bool
    let text: String
  }

  let page: String
  let line: Int
  let steps: [Step]

  var testDescription: String { "\(page):\(line)" }

  static func all(on path: String) throws -> [DocExample] {
    let page = try Page(path)
    var examples: [DocExample] = []
    var start: Int?
    var steps: [Step] = []
    for (index, line) in page.lines.enumerated() {
      if let begun = start {
        if let match = line.wholeMatch(of: /([A-Z]?)([<>]) (.*)/) {
          steps.append(
            Step(
              line: index + 1, connection: String(match.1), isRequest: match.2 == ">",
              text: String(match.3)))
        } else if line.hasPrefix("``") {
          examples.append(DocExample(page: path, line: begun, steps: steps))
          start = nil
        } else {
          throw Failure("\(path):\(index + 1): neither a request nor a reply: \(line)")
        }
      } else if line == "```latchkey" {
        start = index + 1
        steps = []
      }
    }
    return examples
  }
}

/// Lines with placeholders, as docs/protocol.md explains them, and their values so far.
struct Placeholders {
  private var values: [String: String] = [:]

  private static var pattern: Regex<(Substring, Substring, Substring)> { /<([a-z]+)([0-9]*)>/ }

  /// How the text of each kind looks.
  private static let kinds = [
    "token": "[1-9][0-9]{0,15}", "id": #"[^" ]+"#, "at": "[1-9][0-9]{12}", "ms": "[0-9]+",
    "n": "[0-9]+", "text": ".+?",
  ]

  /// A request, with the values of its placeholders from the replies before it.
  func filled(_ request: String) throws -> String {
    try request.replacing(Self.pattern, maxReplacements: .max) { match in
      guard let value = values[String(match.0)] else {
        throw Failure("nothing has said yet what \(match.0) is")
      }
      return value
    }
  }

  /// True if a line is as the page says; learns the values of its placeholders.
  mutating func match(_ line: String, _ expected: String) throws -> Bool {
    var pattern = ""
    var names: [String] = []
    var rest = expected[...]
    while let found = rest.firstMatch(of: Self.pattern) {
      pattern += NSRegularExpression.escapedPattern(for: String(rest[..<found.range.lowerBound]))
      rest = rest[found.range.upperBound...]
      guard let kind = Self.kinds[String(found.1)] else { throw Failure("what is \(found.0)?") }
      let name = String(found.0)
      if let value = values[name] {
        pattern += NSRegularExpression.escapedPattern(for: value)
      } else if let earlier = names.firstIndex(of: name), Self.isLasting(name) {
        pattern += "\\\(earlier + 1)"
      } else {
        pattern += "(\(kind))"
        names.append(name)
      }
    }
    pattern += NSRegularExpression.escapedPattern(for: String(rest))
    guard let match = try Regex(pattern).wholeMatch(in: line) else { return false }
    for (index, name) in names.enumerated() where Self.isLasting(name) {
      try learn(name, String(match.output[index + 1].substring ?? ""))
    }
    return true
  }

  private mutating func learn(_ name: String, _ value: String) throws {
    let isUnique = !name.hasPrefix("<at")
    if isUnique, let other = values.first(where: { $0.value == value }) {
      throw Failure("\(name) and \(other.key) are both \(value)")
    }
    values[name] = value
  }

  /// True if a placeholder has the same value everywhere in a block.
  private static func isLasting(_ name: String) -> Bool {
    ["<token", "<id", "<at"].contains { name.hasPrefix($0) }
  }
}

/// The connections on which an example is run.
private struct DocsConversation {
  private struct Side {
    let client: LineClient
    var replies: [String] = []
    var events: [String] = []

    /// The next reply or the next event, whichever else comes before it.
    mutating func next(isEvent: Bool) throws -> String {
      while isEvent ? events.isEmpty : replies.isEmpty {
        guard let line = try client.readLine() else { throw Failure("no more lines came") }
        if line.hasPrefix("EVENT ") { events.append(line) } else { replies.append(line) }
      }
      return isEvent ? events.removeFirst() : replies.removeFirst()
    }
  }

  private var sides: [String: Side] = [:]
  private var placeholders = Placeholders()

  mutating func run(_ example: DocExample, _ connect: () throws -> LineClient) throws {
    for name in Set(example.steps.map(\.connection)) {
      sides[name] = try Side(client: connect())
    }
    for step in example.steps {
      if step.isRequest {
        try sides[step.connection]?.client.sendLine(placeholders.filled(step.text))
        continue
      }
      let isEvent = step.text.hasPrefix("EVENT ")
      let line = try sides[step.connection]?.next(isEvent: isEvent) ?? ""
      let isMatch = try placeholders.match(line, step.text)
      #expect(isMatch, "\(example.page):\(step.line)\nshown: \(step.text)\ngiven: \(line)")
    }
    for (name, var side) in sides {
      let last = example.steps.last { $0.isRequest && $0.connection == name }
      if last?.text == "QUIT" {
        #expect(side.client.isClosed())
        continue
      }
      try side.client.sendLine("PING")
      #expect(try side.next(isEvent: false) == "OK", "there are more replies than are shown")
      #expect(side.events.isEmpty, "there are more events than are shown")
    }
  }
}

// MARK: Tests

extension SystemSuites {
  private static let docsOptions = ["--policy", "support:idle=5m"]

  @Suite(.lab(workers: [docsOptions])) struct Docs {
    private static let replacing = [
      "proposal-editor", "workspace", "chat-sdk", "serverless-bot", "multi-user-agent",
    ].map { "docs/replacing/\($0).md" }

    private static let examples = Result {
      let manual = ["README.md"] + ["protocol", "turns", "concepts", "faq"].map { "docs/\($0).md" }
      return try (manual + replacing).flatMap { try DocExample.all(on: $0) }
    }

    @Test func `there are examples, and none is empty`() throws {
      let examples = try Self.examples.get()
      #expect(examples.count > 20)
      #expect(examples.allSatisfy { $0.steps.contains { !$0.isRequest } })
    }

    @Test(arguments: replacing)
    func `each verb that replaces something is shown at work on its page`(path: String) throws {
      let shown = Set(
        try DocExample.all(on: path).flatMap(\.steps).filter(\.isRequest).map { step in
          String(step.text.prefix { $0 != " " })
        })
      // The right column's code, such as `SET` or `LIST user=id`, begins with a verb.
      let rows = try Page(path).tableRows.filter { $0.count == 2 }
      #expect(rows.count >= 8)
      let named = words(in: rows.map { $0[1][...] }, /`([A-Z]+)[` ]/) { $0.1 }
      #expect(named.subtracting(shown).subtracting(["WATCH", "EXPORT", "IMPORT"]) == [])
    }

    @Test(arguments: (try? examples.get()) ?? [])
    private func `every example of the manual has the output that it shows`(example: DocExample)
      throws
    {
      let lab = try Lab.current
      // Each block begins with nothing locked and no event in the log.
      try lab.redis.command("FLUSHALL")
      var conversation = DocsConversation()
      guard example.steps.contains(where: { $0.isRequest && $0.text.hasPrefix("WATCH ") }) else {
        return try conversation.run(example) { try lab.connect() }
      }
      // A worker that has followed the logs before would say, rightly, that they have been lost.
      let worker = try WorkerProcess(on: lab.redis, docsOptions)
      defer { worker.kill() }
      try conversation.run(example) { try worker.connect() }
    }

    @Test func `a different line is noticed, and placeholders keep their values`() throws {
      var placeholders = Placeholders()
      #expect(try placeholders.match("OK {\"token\":17}", "OK {\"token\":<token>}"))
      #expect(try placeholders.match("OK 17 17 9", "OK <token> <token> <ms>"))
      #expect(try !placeholders.match("OK 18", "OK <token>"))
      #expect(try !placeholders.match("OK 5x", "OK <ms>"))
      #expect(try !placeholders.match("OK {", "OK [<n>"))
      #expect(try placeholders.match("1-a 1-a", "<id> <id>"))
      #expect(try !placeholders.match("1-b 1-c", "<id2> <id2>"))
      #expect(throws: Failure.self) { try placeholders.match("17", "<token2>") }
      #expect(throws: Failure.self) { try placeholders.match("17", "<unheard>") }
      #expect(throws: Failure.self) { try placeholders.filled("ACK g <id9>") }
      #expect(try placeholders.filled("ACK g <id> <token>") == "ACK g 1-a 17")
    }

    @Test func `every verb has a section with its usage, its replies and an example`() throws {
      let client = try Lab.current.connect()
      let page = try Page("docs/protocol.md")
      guard case .array(let names) = try client.request("HELP").json()["verbs"] else {
        throw Failure("HELP lists no verbs")
      }
      let verbs = names.compactMap(\.string)
      #expect(verbs.count == 59)
      for verb in verbs {
        let help = try client.request("HELP \(verb)")
        let section = page.section("### \(verb)")
        #expect(section.contains(try help.string("usage")[...]), "\(verb): no usage")
        guard case .array(let words) = try help.json()["replies"] else { throw Failure("\(help)") }
        let replies = words.compactMap(\.string).filter { $0 != "ERR" }.joined(separator: ", ")
        #expect(section.contains("Replies: \(replies)."), "\(verb): not 'Replies: \(replies).'")
        let isShown = section.contains { $0 == "> \(verb)" || $0.hasPrefix("> \(verb) ") }
        #expect(isShown, "\(verb): no example")
      }
      let headings = page.lines.compactMap { $0.wholeMatch(of: /### ([A-Z]+)/)?.1 }
      #expect(headings.map(String.init) == verbs)
    }

    @Test func `the table of errors is that of the code`() throws {
      let source = try Page("Sources/Wire/ErrorCode.swift")
      var codes: [String: String] = [:]
      for line in source.lines {
        guard let match = line.wholeMatch(of: /\s*case `?(\w+)`?(?: = "(\w+)")?/) else { continue }
        codes[String(match.1)] = String(match.2 ?? match.1)
      }
      #expect(codes.count == 13)
      let shown = try Page("docs/protocol.md").tableRows.filter { row in
        row.count == 3 && codes.values.contains(row[0].filter { $0 != "`" })
      }
      let listed = Set(shown.map { $0[0].filter { $0 != "`" } })
      #expect(listed.symmetricDifference(codes.values) == [])
      #expect(shown.allSatisfy { !$0[1].isEmpty && !$0[2].isEmpty })
    }

    @Test func `operations.md lists the metrics that a worker shows, and no others`() throws {
      let families = try PrometheusPage(Lab.current.worker.get("/metrics").body).families
      let page = try Page("docs/operations.md")
      let rows = page.tableRows.filter { row in
        row[0].wholeMatch(of: /`(latchkey|process)_\w+`/) != nil
      }
      let listed = rows.map { "\($0[0].filter { $0 != "`" }) \($0[1])" }
      let shown = Set(families.map { "\($0.name) \($0.type)" })
      #expect(shown.symmetricDifference(listed) == [])
      #expect(listed.count == Set(listed).count, "a metric stands there twice")
      // Metrics that the rest of the page names exist, too.
      let named = words(in: page.lines, /\b(?:latchkey|process)_[a-z_]+\b/) { $0 }
      let series = families.map(\.name) + families.flatMap { $0.samples.map(\.name) }
      #expect(named.subtracting(series) == [])
    }

    @Test func `other pages name no metric that a worker does not show`() throws {
      let families = try PrometheusPage(Lab.current.worker.get("/metrics").body).families
      let docs = Project.root.appending(path: "docs").path
      let pages = try FileManager.default.subpathsOfDirectory(atPath: docs)
        .filter { $0.hasSuffix(".md") }.map { "docs/\($0)" }
      let lines = try pages.flatMap { try Page($0).lines }
      let named = words(in: lines, /`(latchkey_[a-z_]+)\b/) { $0.1 }
      #expect(named.count > 50)
      let series = families.map(\.name) + families.flatMap { $0.samples.map(\.name) }
      // Fixtures of the Python client, its package with the worker, and a label of Prometheus'.
      let others = ["client", "fake", "manual", "server", "worker"].map { "latchkey_\($0)" }
      #expect(named.subtracting(series).subtracting(others) == [])
    }

    @Test func `keys-md lists the keys that the scripts and the worker use, and no others`() throws
    {
      let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Sources/Scripts/Lua")
      let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
        .filter { $0.hasSuffix(".lua") }
      var used: Set<String> = []
      for file in files {
        let code = try Page("Sources/Scripts/Lua/\(file)").lines.filter { !$0.hasPrefix("--") }
        used.formUnion(words(in: code, /'(:[a-z_]+:?)'/) { $0.1 })
      }
      let keyspace = try Page("Sources/SessionModel/Keyspace.swift").lines
      used.formUnion(words(in: keyspace, /(?:namespace\)|")(:[a-z_]+:?)["\\]/) { $0.1 })
      let rows = try Page("docs/keys.md").tableRows.filter { $0[0].hasPrefix("`lk:") }
      let listed = words(in: rows.map { $0[0][...] }, /`lk(?::{0a3})?(:[a-z_]+:?)/) { $0.1 }
      #expect(used.count > 8)
      #expect(listed.symmetricDifference(used) == [])
      #expect(rows.count == listed.count, "a key stands there twice")
    }
  }
}
