/** The water line: moves while the desk is live, lies flat when it is not. */
export function Tide({ state }: { state: "live" | "connecting" | "stale" }) {
  return (
    <svg
      className={`tide tide-${state}`}
      viewBox="0 0 1200 24"
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path className="tide-back" d={wave(17, 5, 300)} />
      <path className="tide-front" d={wave(15, 4, 200)} />
    </svg>
  );
}

/** A wave two periods wider than the picture, so that it can drift by one without an edge. */
function wave(level: number, height: number, length: number): string {
  const half = length / 2;
  const crests = Array.from({ length: 1200 / half + 4 }, () => `t${half} 0`).slice(1);
  return `M${-length} ${level}q${half / 2} ${-2 * height} ${half} 0${crests.join("")}V24H${-length}z`;
}
