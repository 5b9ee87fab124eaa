// Owns: the documents of an exported session, and the limits of its chats, checked for IMPORT. On
// the thread that reads the record.

internal import Seal
internal import Settings
internal import Wire

/// The numbers of chats that an export may have.
enum ImportedChats {
  /// An address has no greater number.
  static let numberMax: Int64 = 999_999
}

extension ExportedRecord {
  /// A chat's own limits, as its record has them; nil without any.
  func limits(of chat: [String: Range<Int>]) throws(RequestError) -> String? {
    guard let most = chat["max_messages"], let range = chat["full"] else { return nil }
    let full = isNull(range) ? "-" : try string(range, "full")
    guard ["trim", "refuse", "-"].contains(full) else {
      throw ExportedRecord.bad("full is none of trim, refuse and null")
    }
    return "\(try number(most, "max_messages", 0...1_000_000)) \(full)"
  }

  /// The documents, five parts each: key, revision, time, deadline or empty, and JSON.
  func readDocuments(_ whole: [String: Range<Int>]) throws(RequestError) -> Parts {
    var parts = Parts()
    guard let list = whole["documents"] else { return parts }
    let found = try elements(list, "documents", most: settings.documentsMax)
    guard found.count <= settings.documentsMax else {
      throw .quota(found.count, of: settings.documentsMax, "documents in this session")
    }
    var keys: Set<String> = []
    for range in found {
      let document = try object(range, "a document")
      try requireKnown(document, ExportedNames.ofDocument, "a document")
      let key = try string(try need(document, "key"), "a document's key")
      guard 1...DocumentKey.bytesMax ~= key.utf8.count else {
        throw ExportedRecord.bad("a document's key must have 1 to \(DocumentKey.bytesMax) bytes")
      }
      guard keys.insert(key).inserted else {
        throw ExportedRecord.bad("a document's key stands there twice")
      }
      let name = DocumentKey.escaped(key.utf8)
      parts.add(name)
      parts.add("\(try number(try need(document, "rev"), "rev", 1...latestRev))".utf8)
      parts.add("\(try number(try need(document, "at"), "at"))".utf8)
      if let endsAt = document["expires_at"] {
        parts.add("\(try number(endsAt, "expires_at"))".utf8)
      } else {
        parts.add("".utf8)
      }
      let json = try kept(try need(document, "value"), .document, name: name) {
        "{[\"".utf8.contains($0)
      }
      guard let json else {
        throw ExportedRecord.bad("a document must be an object, an array or a text")
      }
      parts.add(json)
    }
    return parts
  }
}
