// What a panel shows, as Grafana's own parts want it.
import { getDisplayProcessor } from '@grafana/data';

/** A field as the panel wants its values shown: unit, thresholds, words. */
export function field(name, type, values, config, theme) {
  const made = { name, type, values, config: { ...config, displayName: name }, state: {} };
  made.display = getDisplayProcessor({ field: made, theme, timeZone: 'utc' });
  return made;
}
