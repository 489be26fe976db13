// Grafana's heatmap is a plug-in that cannot be had apart from Grafana: this one is drawn by hand.
import { getValueFormat, formattedValueToString } from '@grafana/data';
import { useEffect, useRef } from 'react';

const LEFT = 64;
const BOTTOM = 22;

export function Heatmap({ panel, series, span, theme, width, height }) {
  const canvas = useRef(null);
  useEffect(() => paint(canvas.current, panel, series, span, theme, width, height));
  return <canvas ref={canvas} style={{ width, height }} />;
}

function paint(canvas, panel, series, span, theme, width, height) {
  const ratio = window.devicePixelRatio;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  pen.font = `12px ${theme.typography.fontFamily}`;
  const bands = series.filter(({ values }) => values.some((value) => value > 0));
  if (!bands.length) {
    return;
  }
  const most = Math.max(...bands.flatMap(({ values }) => values));
  const tall = (height - BOTTOM) / bands.length;
  const wide = (width - LEFT - 8) / ((span.to - span.from) / 1000 + 1);
  const format = getValueFormat(panel.options.yAxis.unit);
  bands.forEach(({ name, times, values }, row) => {
    const top = height - BOTTOM - (row + 1) * tall;
    times.forEach((time, index) => {
      if (values[index] > 0) {
        pen.fillStyle = color((values[index] / most) ** panel.options.color.exponent);
        pen.fillRect(LEFT + ((time - span.from) / 1000) * wide, top, wide - 0.5, tall - 1);
      }
    });
    pen.fillStyle = theme.colors.text.secondary;
    pen.textAlign = 'right';
    const bound = Number(name);
    const label = Number.isFinite(bound) ? formattedValueToString(format(bound)) : '∞';
    pen.fillText(label, LEFT - 6, top + Math.min(tall, 14));
  });
  pen.textAlign = 'center';
  for (let part = 0; part <= 4; part++) {
    const time = new Date(span.from + ((span.to - span.from) * part) / 4).toISOString().slice(11, 19);
    pen.fillText(time, LEFT + ((width - LEFT - 40) * part) / 4 + 16, height - 6);
  }
}

/** From dark to bright orange, as the scheme "Oranges" on a dark page. */
function color(share) {
  const from = [74, 29, 8];
  const to = [254, 217, 166];
  const [red, green, blue] = from.map((value, index) => Math.round(value + (to[index] - value) * share));
  return `rgb(${red}, ${green}, ${blue})`;
}
