// Owns: the test that the manual's links lead somewhere.

import Foundation
import Testing

struct LinkTests {
  /// The files that a page links to, as written: no web addresses, no anchors.
  private static func targets(_ page: SourceFile) -> [(line: Int, target: String)] {
    page.lines.enumerated().flatMap { index, line in
      line.matches(of: /\]\(<?([^)\s>]+)>?[^)]*\)/).compactMap { match in
        let target = match.1.prefix { $0 != "#" }
        let isElsewhere = match.1.contains(/^[a-z]+:/)
        return target.isEmpty || isElsewhere ? nil : (index + 1, String(target))
      }
    }
  }

  @Test func `each link of a page leads to a file of the project`() {
    var findings: [String] = []
    for page in SourceTree.markdown {
      let folder = SourceTree.root.appending(path: page.path).deletingLastPathComponent()
      for (line, target) in Self.targets(page) {
        let place = folder.appending(path: target).standardizedFileURL
        let isInside = place.path.hasPrefix(SourceTree.root.path)
        if !isInside || !FileManager.default.fileExists(atPath: place.path) {
          findings.append("\(page.path):\(line): no \(target)")
        }
      }
    }
    report(findings)
  }

  /// The anchors of a page's headings, as those who show Markdown make them.
  private static func anchors(_ page: SourceFile) -> Set<String> {
    var (anchors, isCode) = (Set<String>(), false)
    for line in page.lines {
      if line.hasPrefix("```") { isCode.toggle() }
      guard !isCode, let heading = line.wholeMatch(of: /#{1,6} (.*)/)?.1 else { continue }
      let text = heading.replacing(/\[([^\]]*)\]\([^)]*\)/) { $0.1 }.lowercased()
      let anchor = String(
        text.filter { $0.isLetter || $0.isNumber || "_- ".contains($0) }.map {
          $0 == " " ? "-" : $0
        })
      let again = (1...).lazy.map { "\(anchor)-\($0)" }.first { !anchors.contains($0) }
      anchors.insert(anchors.contains(anchor) ? again ?? anchor : anchor)
    }
    return anchors
  }

  @Test func `each anchor of a link is a heading of its page`() throws {
    var findings: [String] = []
    let anchors = Dictionary(
      uniqueKeysWithValues: SourceTree.markdown.map { ($0.path, Self.anchors($0)) })
    for page in SourceTree.markdown {
      let folder = SourceTree.root.appending(path: page.path).deletingLastPathComponent()
      for match in page.text.matches(of: /\]\(([^)\s#:]*)#([^)\s]+)\)/) {
        let place = folder.appending(path: String(match.1)).standardizedFileURL.path
        let target =
          match.1.isEmpty ? page.path : String(place.dropFirst(SourceTree.root.path.count + 1))
        if let known = anchors[target], !known.contains(String(match.2)) {
          findings.append("\(page.path): no heading for \(match.1)#\(match.2)")
        }
      }
    }
    report(findings)
  }

  /// Terms that people look for, each of which leads to a page.
  private static let terms = [
    "Lambda", "Vercel", "LangGraph", "OpenAI", "ADK", "Valkey", "ElastiCache", "idempotency",
    "exactly once", "backup", "encryption", "retention", "tenant", "deprecation", "threat", "FAQ",
    "tutorial",
  ]

  @Test(arguments: terms)
  func `the index of the manual has a page for each term`(term: String) throws {
    let index = try #require(SourceTree.markdown.first { $0.path == "docs/index.md" })
    let rows = index.lines.filter { $0.lowercased().hasPrefix("| \(term.lowercased()) |") }
    #expect(rows.count == 1, "\(term) has \(rows.count) rows")
    let links = rows.flatMap { $0.matches(of: /\]\(([^)#]+)[^)]*\)/).map { String($0.1) } }
    #expect(!links.isEmpty, "\(term) leads nowhere")
    let pages = links.compactMap { link in
      let place = SourceTree.root.appending(path: "docs/\(link)").standardizedFileURL.path
      return SourceTree.markdown.first { place == SourceTree.root.appending(path: $0.path).path }
    }
    let word = try Regex("(?i)\(term.replacing(" ", with: "[ -]"))")
    #expect(
      pages.contains { $0.text.contains(word) }, "no page that \(term) leads to has the word")
  }

  @Test func `each suite that the manual has swift test run is there`() {
    let code = SourceTree.files.filter { $0.path.hasSuffix(".swift") }.map(\.text).joined()
    let named = SourceTree.markdown.flatMap { page in
      page.text.matches(of: /--filter '?(?:\w+\/)?(\w+)/).map { String($0.1) }
    }
    #expect(!named.isEmpty)
    for suite in named {
      let isTarget = SourceTree.files.contains { $0.path.hasPrefix("Tests/\(suite)/") }
      let isSuite = code.contains("struct \(suite) ") || code.contains("enum \(suite) ")
      #expect(isSuite || isTarget, "no suite \(suite)")
    }
  }

  @Test func `links are found and web addresses and anchors are not taken for files`() {
    let page = SourceFile(
      path: "a.md", text: "[a](b.md#c) [d](https://e.f) [g](#h)\n![i](j/k.png \"l\")",
      isExecutable: false)
    #expect(Self.targets(page).map(\.target) == ["b.md", "j/k.png"])
    #expect(Self.targets(page).map(\.line) == [1, 2])
  }
}
