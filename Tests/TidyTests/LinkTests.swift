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

  @Test func `links are found and web addresses and anchors are not taken for files`() {
    let page = SourceFile(
      path: "a.md", text: "[a](b.md#c) [d](https://e.f) [g](#h)\n![i](j/k.png \"l\")",
      isExecutable: false)
    #expect(Self.targets(page).map(\.target) == ["b.md", "j/k.png"])
    #expect(Self.targets(page).map(\.line) == [1, 2])
  }
}
