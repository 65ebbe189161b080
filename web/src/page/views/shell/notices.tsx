/** The notices at the lower edge. */

import { hold, notices } from "../../state/notices.ts";

export function Notices() {
  return (
    <div
      class="notices"
      translate={false}
      role="status"
      onPointerEnter={() => hold(true)}
      onPointerLeave={() => hold(false)}
      onFocusIn={() => hold(true)}
      onFocusOut={() => hold(false)}
    >
      {notices.value.map((notice) => (
        <div key={notice.id} class={`notice ${notice.tone}`}>
          <span>{notice.text}</span>
          {notice.action && (
            <button type="button" onClick={notice.action.run}>
              {notice.action.label}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
