// Owns: the tests of the table of verbs, and of finding one.

import SessionModel
import Testing
import Wire

@testable import Service

struct VerbTableTests {
  /// Beside ERR, which every verb can be answered with.
  private static let replyWords: Set = ["OK", "HELD", "BUSY", "NONE", "STALE", "EVENT"]

  private let table = VerbTable()

  private func index(_ text: String) -> Int? {
    let bytes = Array(text.utf8)
    return table.index(bytes.span, 0..<bytes.count)
  }

  /// A name in four ways of writing it.
  private func spellings(_ name: String) -> [String] {
    let mixed = name.enumerated().map { $0 % 2 == 0 ? $1.lowercased() : $1.uppercased() }
    return [
      name, name.lowercased(), name.prefix(1) + name.dropFirst().lowercased(), mixed.joined(),
    ]
  }

  @Test func `each verb is found in any case`() {
    for (number, verb) in VerbTable.all.enumerated() {
      for spelling in spellings(verb.name) { #expect(index(spelling) == number, "\(spelling)") }
    }
  }

  @Test func `a verb is found in the middle of a line`() {
    let bytes = Array("xlockx".utf8)
    #expect(table.index(bytes.span, 1..<5) == index("LOCK"))
    #expect(table.index(bytes.span, 0..<5) == nil)
  }

  @Test(arguments: [
    "", "L", "LOC", "LOCKZ", "LOCKLOCK", "LOCKLOCKLOCK", "PING ", "P1NG", "PIN_", "_PING", "pıng",
    "\u{4C}OC\u{2B}", "l\u{F}ck", "NOTAVERB", "MUCHTOOLONGAVERB",
  ])
  func `an unknown verb is not found`(name: String) {
    #expect(index(name) == nil)
  }

  @Test func `letters are folded, and nothing else is`() {
    // The neighbours of the small letters lie on those of the capitals when one bit is cleared.
    for (one, other) in [("`", "@"), ("{", "["), ("|", "\\"), ("}", "]"), ("~", "^")] {
      #expect(index("PIN\(one)") == nil && index("PIN\(other)") == nil)
    }
  }

  @Test func `each verb that changes something takes req=`() {
    // LOCKS and HOOKS are the operator's, and only read; what TELL publishes is kept nowhere; HOOK
    // and UNHOOK do the same again however often they come.
    let others = ["LOCKS", "TELL", "HOOK", "HOOKS", "UNHOOK"]
    for verb in VerbTable.all
    where [.write, .operate].contains(verb.rights) && !others.contains(verb.name) {
      #expect(verb.options.contains(.req), "\(verb.name)")
    }
    #expect(OptionName.allCases.filter { !$0.isPartOfRequest } == [.req, .wait, .settle])
  }

  @Test func `RECOVER and TURN take each option of OPEN that makes a session`() {
    // TURN has a policy of its own.
    let ofTurn = NewSession.options.filter { $0 != .policyName }
    #expect(Set(ofTurn).isSubset(of: TurnVerb.verb.options))
    let ofRecover = NewSession.options.filter { $0 != .sessionPolicy }
    #expect(Set(ofRecover).isSubset(of: RecoverVerb.verb.options))
    #expect(NewSession.options.count > 10)
  }

  @Test func `each verb declares itself well`() {
    #expect(Set(VerbTable.all.map(\.name)).count == VerbTable.all.count)
    for verb in VerbTable.all {
      let name = verb.name
      #expect(name == name.uppercased() && (1...8).contains(name.utf8.count))
      #expect(Set(verb.options).count == verb.options.count, "\(name)")
      #expect(Set(verb.required).isSubset(of: verb.options), "\(name)")
      #expect(verb.words.dropLast().allSatisfy { !$0.isOptional }, "\(name)")
      #expect(verb.usage.hasPrefix(name) && verb.summary.hasSuffix("."), "\(name)")
      #expect(verb.replies.first == "OK", "\(name)")
      #expect(Self.replyWords.isSuperset(of: verb.replies), "\(name)")
      // HELP puts these into JSON as they are.
      for text in [verb.usage, verb.summary] {
        let isPlain = text.unicodeScalars.allSatisfy {
          $0.value >= 0x20 && $0 != "\"" && $0 != "\\"
        }
        #expect(isPlain, "\(name): \(text)")
      }
    }
  }

  @Test func `an option has a name that can be written in a request`() {
    for option in OptionName.allCases {
      #expect(option.text.allSatisfy { "a"..."z" ~= $0 || $0 == "-" || $0 == "_" })
    }
  }

  @Test(arguments: SessionClock.allCases)
  func `the option of a clock has its name and its lengths`(clock: SessionClock) {
    #expect(clock.option.text == clock.rawValue)
    #expect(clock.option.kind == .duration(allowsZero: clock.row.canBeOff))
    for verb in [OpenVerb.verb, RecoverVerb.verb] { #expect(verb.options.contains(clock.option)) }
  }
}
