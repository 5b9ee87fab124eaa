// Owns: how entries of the event log become events (docs/keys.md), as EVENTS and WATCH show them.
// Any thread.

internal import Seal
internal import Wire

/// An event on its way into a line: its id in the protocol, and the values of its entry's fields.
///
/// One that is in no log has no id.
package struct StoredEvent {
  private let id: LentBytes?
  private let type: LentBytes
  private let device: LentBytes
  /// The inside of a JSON object.
  private let members: LentBytes

  package init(id: LentBytes?, type: LentBytes, device: LentBytes, members: LentBytes) {
    self.id = id
    self.type = type
    self.device = device
    self.members = members
  }

  /// Puts the event, braces included.
  ///
  /// Members that are corrupt are omitted as a whole, and `damaged` names the record: where one of
  /// them ends is unknown.
  package func put(into line: inout RecordLine) {
    let start = line.bytes.count
    line.put("{")
    if let id {
      line.put("\"id\":")
      line.put(id: id, .of("id"))
      line.put(",")
    }
    line.put("\"type\":")
    line.put(id: type, .of("type"))
    line.put(",\"device\":")
    line.put(id: device, .of("device"))
    let end = line.bytes.count
    line.put(",")
    if SealedValue.isWithin(members), let (kind, name) = sealedMember {
      line.device = Array(device)
      line.put(composed: members, kind, name)
    } else {
      line.put(members)
    }
    line.put("}")
    if line.isValue(from: start) {
      line.cut(to: line.bytes.count - 1)
    } else {
      line.cut(to: end)
      line.damage(.of("record"))
    }
    line.putDamaged()
    line.put("}")
  }

  /// Which values of callers an event of its type has, and the member in which they are.
  private var sealedMember: (SealedKind, ValueName)? {
    switch true {
    case type.starts(with: "lock.".utf8): (.note, .of("note"))
    case type.elementsEqual("chat.said".utf8): (.message, .of("messages"))
    case type.elementsEqual("chat.amended".utf8): (.message, .of("message"))
    case type.elementsEqual("chat.part".utf8): (.part, .of("payload"))
    case type.starts(with: "custom.".utf8): (.event, .of("payload"))
    default: nil
    }
  }
}
