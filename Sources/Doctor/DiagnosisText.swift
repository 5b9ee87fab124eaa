// Owns: how a diagnosis reads: lines for a terminal, one JSON object for programs. Any thread:
// pure functions.

internal import Wire

extension Diagnosis {
  /// One finding per line, in columns, and the verdict as the last line.
  package func text(isColoured: Bool) -> String {
    let width = findings.map(\.check.rawValue.count).max() ?? 0
    var text = ""
    for finding in findings {
      let level = finding.level.rawValue.padded(to: 4)
      let check = finding.check.rawValue.padded(to: width)
      let fix = finding.fix.map { "   → \($0)" } ?? ""
      let word = isColoured ? coloured(level, finding.level) : level
      text += "\(word)  \(check)  \(finding.text.printable)\(fix.printable)\n"
    }
    return text + (isColoured ? coloured(lastLine, problems == 0 ? .ok : .bad) : lastLine) + "\n"
  }

  private var lastLine: String {
    switch problems {
    case 0: "fit"
    case 1: "not fit: 1 problem"
    default: "not fit: \(problems) problems"
    }
  }

  private func coloured(_ text: String, _ level: Finding.Level) -> String {
    let colour =
      switch level {
      case .ok: 32
      case .info: 36
      case .warn: 33
      case .bad: 31
      }
    return "\u{1B}[\(colour)m\(text)\u{1B}[0m"
  }

  /// The same as one JSON object on one line.
  package var json: String {
    let list = findings.map { finding in
      "{\"level\":\(quoted(finding.level.rawValue)),\"check\":\(quoted(finding.check.rawValue)),"
        + "\"text\":\(quoted(finding.text)),\"fix\":\(finding.fix.map(quoted) ?? "null")}"
    }
    return "{\"redis\":\(quoted(place)),\"namespace\":\(quoted(namespace)),"
      + "\"verdict\":\(quoted(verdict.rawValue)),\"problems\":\(problems),"
      + "\"warnings\":\(warnings),\"findings\":[\(list.joined(separator: ","))]}"
  }

  private func quoted(_ text: String) -> String {
    var out: [UInt8] = []
    JSONString.encode(Array(text.utf8).span, into: &out)
    return String(decoding: out, as: UTF8.self)
  }
}

extension String {
  fileprivate func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - count))
  }

  /// The text on one line and without control characters: Redis' words go to a terminal.
  fileprivate var printable: String {
    var out = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      out.append(scalar.properties.generalCategory == .control ? " " : scalar)
    }
    return String(out)
  }
}
