// Owns: the tests of how descriptors are divided among hooks.

import Testing
import Webhooks

@testable import Hooks

struct HookShareTests {
  @Test(arguments: [0, 4, 5, 9, 10, 80, 127, 1_568, 100_000], [0, 1, 2, 16])
  func `hooks take no more than there is, and as many as can be are served`(
    descriptors: Int, hooks: Int
  ) {
    for most in [1, 32] {
      let share = HookShare(of: descriptors, hooks: hooks, most: most)
      let each = WebhookLimits.descriptors(ofConnections: share.connections)
      #expect(share.served * each <= descriptors)
      #expect(share.served == min(hooks, descriptors / 5))
      #expect((share.connections == 0) == (share.served == 0) && share.connections <= most)
      // Another connection of each would be too many.
      let isFull = share.served * (each + 3) > descriptors
      #expect(share.served == 0 || share.connections == most || isFull)
    }
  }

  @Test func `with the usual limit all have what was asked for`() {
    let share = HookShare(of: 16 * 98, hooks: 16, most: 32)
    #expect(share.served == 16 && share.connections == 32)
    #expect(HookShare(of: 16 * 98 - 1, hooks: 16, most: 32).connections == 31)
    #expect(HookShare(of: -3, hooks: 1, most: 32).served == 0)
  }
}
