// The model's documents: PUT, TAKE, DROP and KEYS of a session, and the requests for them.

import Foundation
import struct TestSupport.Seeded

/// A document: the session's revision when it was written, and its JSON.
struct ModelDocument {
  let rev: Int
  let json: String

  fileprivate func shown(_ key: String, hasValue: Bool) -> String {
    "{\"key\":\"\(key)\",\"rev\":\(rev),\"at\":T\(hasValue ? ",\"value\":\(json)" : "")}"
  }
}

extension ModelSession {
  static let documentReads: Set = ["TAKE", "KEYS"]
  static let documentWrites: Set = ["PUT", "DROP"]

  /// The reply of TAKE or KEYS.
  func readDocuments(_ request: ModelRequest) -> String {
    if request.verb == "TAKE" {
      let shown = (request.word ?? "").split(separator: " ").map { key in
        documents[String(key)]?.shown(String(key), hasValue: true) ?? "null"
      }
      return "OK {\"documents\":[\(shown.joined(separator: ","))]}"
    }
    var keys = documents.keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
      .filter { key in
        key.hasPrefix(request.option("prefix") ?? "") && key >= request.option("from") ?? ""
          && request.option("to").map { key < $0 } ?? true
      }
    if request.option("newest") != nil { keys.reverse() }
    let page = keys.prefix(request.option("limit").flatMap { Int($0) } ?? 100)
    let hasValue = request.option("values") != nil
    let shown = page.map { documents[$0]?.shown($0, hasValue: hasValue) ?? "" }
    let cursor = keys.count > page.count ? page.last.map { "\"\($0)\"" } ?? "" : "null"
    return "OK {\"documents\":[\(shown.joined(separator: ","))],\"cursor\":\(cursor)}"
  }

  /// Applies PUT or DROP; gives the reply, and whether it was activity.
  mutating func changeDocuments(_ request: ModelRequest) -> (reply: String, isActivity: Bool) {
    let keys = (request.word ?? "").split(separator: " ").map(String.init)
    guard request.verb == "PUT" else { return (drop(keys, request.option("prefix")), true) }
    let (key, before) = (keys[0], documents[keys[0]])
    let seen = request.option("rev").flatMap { Int($0) }
    if let before, request.option("if") == "absent" || seen ?? before.rev != before.rev {
      return ("STALE {\"rev\":\(before.rev)}", false)
    }
    if before == nil, request.option("if") == "present" || seen ?? 0 != 0 {
      return ("NONE", false)
    }
    rev += 1
    documents[key] = ModelDocument(rev: rev, json: request.texts[0])
    return ("OK {\"rev\":\(rev),\"created\":\(before == nil)}", true)
  }

  private mutating func drop(_ keys: [String], _ prefix: String?) -> String {
    let gone = documents.keys.filter { key in
      keys.contains(key) || prefix.map { key.hasPrefix($0) } ?? false
    }
    for key in gone { documents[key] = nil }
    if !gone.isEmpty { rev += 1 }
    return "OK {\"removed\":\(gone.count)}"
  }
}

extension SessionDriver {
  /// Few keys, some of them the beginnings of others.
  private static let documentKeys = ["a", "a/1", "a/2", "b", "b!", "~"]

  func fillDocuments(_ request: inout ModelRequest, _ random: inout Seeded) {
    let keys = Self.documentKeys.shuffled(using: &random)
    switch request.verb {
    case "PUT":
      request.word = keys[0]
      let values = [
        "{}", "[1, 2 ,3]", "\"text\"", "{\"b\":1e400,\"a\":[{},[]]}",
        "\"\(String(repeating: "x", count: 2_000))\"",
      ]
      request.texts = [values.randomElement(using: &random) ?? "{}"]
      let documents = model.index(request.session).map { model.sessions[$0].documents } ?? [:]
      switch Int.random(in: 0..<6, using: &random) {
      case 0: request.options.append(("if", "absent"))
      case 1: request.options.append(("if", "present"))
      case 2: request.options.append(("rev", "\(documents[keys[0]]?.rev ?? 0)"))
      case 3: request.options.append(("rev", "\(Int.random(in: 0...9, using: &random))"))
      default: break
      }
    case "TAKE": request.word = keys.prefix(3).joined(separator: " ")
    case "DROP" where chance(30, &random): request.options.append(("prefix", keys[0]))
    case "DROP": request.word = keys.prefix(2).joined(separator: " ")
    default:
      for (name, value) in [
        ("prefix", "a"), ("from", keys[0]), ("to", keys[1]), ("newest", "yes"), ("values", "yes"),
        ("limit", "2"),
      ] where chance(25, &random) { request.options.append((name, value)) }
    }
  }
}
