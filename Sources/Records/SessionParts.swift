// Owns: a session that is read in parts, since it is too large for one reply of Redis: what each
// part has is made JSON when it comes. On a loop's thread.

package import RedisConnection
package import Seal
internal import Wire

/// The parts of a session that were read so far.
package final class SessionParts: ReadParts {
  /// How the parts are shown.
  package enum Form: Sendable { case record, export }

  /// One reply of `record_page`: `part`, the stamp, where to go on or empty, 1 if the key is of
  /// another type else 0, and the items.
  package struct Page {
    fileprivate let reply: RedisReply

    /// Nil if the reply is no such list.
    package init?(_ reply: RedisReply) {
      guard reply.kind == .array, reply.count >= Page.headCount,
        reply[0].bytes.elementsEqual("part".utf8)
      else { return nil }
      self.reply = reply
    }

    fileprivate static let headCount = 4
    package var stamp: String { reply[1].text }
    /// Where the part goes on; empty at its end.
    package var next: String { reply[2].text }
    fileprivate var isCorrupt: Bool { reply[3].integer == 1 }
    fileprivate var places: Range<Int> { Page.headCount..<reply.count }
  }

  private let form: Form
  private var fields: [(name: [UInt8], text: [UInt8])] = []
  /// The messages of each chat, by its place among the chats; nil if its key is no list.
  private var chats: [[UInt8]?] = []
  private var documents: [UInt8]? = []
  private var documentsCount: Int64 = 0
  /// Has the names of corrupt values.
  private var line: RecordLine
  /// How many bytes the parts have.
  package private(set) var bytes = 0

  /// `seal` opens the values of the device, unless an export shows them sealed.
  package init(_ form: Form, _ seal: Seal?, device: String, showsSealed: Bool) {
    self.form = form
    line = RecordLine(seal: seal, device: Array(device.utf8))
    line.showsSealed = showsSealed
  }

  /// Takes what a piece of JSON was made of.
  private func take(_ put: (inout RecordLine) -> Void) -> [UInt8] {
    line.cut(to: 0)
    put(&line)
    bytes += line.bytes.count
    return line.bytes
  }

  // MARK: Reading

  package func addFields(_ page: Page) {
    for at in stride(from: page.places.lowerBound, to: page.reply.count - 1, by: 2) {
      let name = page.reply[at].bytes
      let value = StoredValue(page.reply[at + 1].bytes)
      let text = take { line in
        switch form {
        case .record: SessionFields.put(name, value, into: &line)
        case .export: SessionExport.put(name, value, into: &line)
        }
      }
      if !text.isEmpty { fields.append((Array(name), text)) }
    }
  }

  /// `chat`: its place among the chats.
  package func addMessages(_ page: Page, chat: Int) {
    while chats.count <= chat { chats.append([]) }
    guard !page.isCorrupt else { return chats[chat] = nil }
    for at in page.places {
      let place: Int64 = chats[chat]?.isEmpty == false ? 1 : 0
      let text = take { line in
        StoredMessages.put(page.reply[at], place, into: &line) { _, _, _ in
          .of("chats", Int64(chat + 1), "messages")
        }
      }
      chats[chat]?.append(contentsOf: text)
    }
  }

  package func addDocuments(_ page: Page) {
    guard !page.isCorrupt else { return documents = nil }
    for at in stride(from: page.places.lowerBound, to: page.reply.count - 4, by: 5) {
      let text = take { line in
        if documentsCount > 0 { line.put(",") }
        ExportedDocuments.put(page.reply, at, documentsCount, into: &line)
      }
      documents?.append(contentsOf: text)
      documentsCount += 1
    }
  }

  // MARK: Showing

  package func putFields(into line: inout RecordLine) {
    let sorted = fields.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    for (index, field) in sorted.enumerated() {
      if index > 0 { line.put(",") }
      line.put(field.text)
    }
    line.adoptNames(of: self.line)
  }

  /// The reply line of a turn: its object, with the fields in their place.
  package func turn(_ object: [UInt8], fieldsAt place: Int) -> [UInt8] {
    var line = RecordLine()
    line.put("OK ")
    line.put(object[..<place])
    putFields(into: &line)
    line.put(object[place...].dropLast())
    line.putDamaged()
    line.put("}")
    return line.bytes
  }

  /// The reply line of a profile of this revision.
  package func profile(rev: String) -> [UInt8] {
    var line = RecordLine()
    line.put("OK {\"rev\":")
    if let rev = Int64(rev) { line.put(rev) } else { line.putCorrupt(.of("rev")) }
    line.put(",\"fields\":{")
    putFields(into: &line)
    line.put("}")
    line.putDamaged()
    line.put("}")
    return line.bytes
  }

  package var chatsCount: Int { chats.count }

  package func putMessages(ofChat place: Int, _ name: ValueName, into line: inout RecordLine) {
    guard place < chats.count, let messages = chats[place] else { return line.putCorrupt(name) }
    line.put("[")
    line.put(messages)
    line.put("]")
  }

  package func putDocuments(into line: inout RecordLine) {
    guard let documents else { return line.putCorrupt(.of("documents")) }
    line.put("[")
    line.put(documents)
    line.put("]")
  }
}
