/** A helm's wheel, half under the tide. */
export function Logo({ size = 40 }: { size?: number }) {
  return (
    <svg className="logo" width={size} height={size} viewBox="0 0 64 64" aria-hidden="true">
      <g className="logo-wheel" fill="none" strokeWidth="3.4" strokeLinecap="round">
        <path d="M38.5 30H58M36.6 34.6l13.8 13.8M32 36.5V56M27.4 34.6L13.6 48.4M25.5 30H6M27.4 25.4L13.6 11.6M32 23.5V4M36.6 25.4L50.4 11.6" />
        <circle cx="32" cy="30" r="17.5" strokeWidth="4.6" />
        <circle cx="32" cy="30" r="5" strokeWidth="3.4" />
      </g>
      <path
        className="logo-tide"
        d="M0 40c5.3 0 5.3-4 10.7-4s5.3 4 10.6 4 5.4-4 10.7-4 5.3 4 10.7 4 5.3-4 10.6-4 5.4 4 10.7 4v14c0 5.5-4.5 10-10 10H10C4.5 64 0 59.5 0 54z"
      />
      <path
        className="logo-foam"
        d="M4 50.5c4.7 0 4.7-3 9.3-3s4.7 3 9.4 3 4.6-3 9.3-3 4.7 3 9.3 3 4.7-3 9.4-3 4.6 3 9.3 3"
        fill="none"
        strokeWidth="2.6"
        strokeLinecap="round"
      />
    </svg>
  );
}
