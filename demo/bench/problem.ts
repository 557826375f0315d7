/** Why something could not be measured, and what to do about it. @module */
import {
  ConfigError,
  DeviceLimitError,
  DeviceLostError,
  DownloadError,
  NoWebGpuError,
  OutOfMemoryError,
  RequestError,
  WeightFileError,
} from 'quern';
import { explainLoadFailure, type Problem, surroundings, type Surroundings } from '../problem.ts';
import type { Failure } from './state.ts';

/** What went wrong with a target, or with all if it is empty. */
export function describeFailure(target: string, error: unknown): Failure {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    target,
    error: text.replaceAll(/\s+/g, ' '),
    problem: explainBenchFailure(error, surroundings()),
  };
}

/** Explains why a model was not measured. */
export function explainBenchFailure(error: unknown, surroundings: Surroundings): Problem {
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const problem = (title: string, ...advice: readonly string[]): Problem => ({
    title,
    advice,
    detail,
    actions: [],
  });
  if (error instanceof NoWebGpuError) {
    return { ...explainLoadFailure(error, surroundings), actions: [] };
  }
  if (error instanceof DeviceLostError) {
    return problem(
      'The browser took the GPU away',
      'Its driver was reset, or it was busy for too long at a time. Close other pages that use it, and run again with fewer or shorter tests.',
    );
  }
  if (error instanceof DeviceLimitError || error instanceof OutOfMemoryError) {
    return problem(
      'The model is too large for this device',
      'Take a smaller model or weights of fewer bits, or close other pages that use the GPU.',
    );
  }
  if (error instanceof DownloadError) return explainDownload(error, surroundings, problem);
  if (error instanceof WeightFileError) {
    return problem(
      'The weights of the model cannot be used',
      'A file is damaged or incomplete, or belongs to another model.',
    );
  }
  if (error instanceof ConfigError) {
    return problem(
      'This is no model that Quern can run',
      'Check the name for a slip of the pen. If it is right, the model is of a kind that Quern does not know: take a made-up one of about the same size.',
    );
  }
  if (error instanceof RequestError) {
    return problem('This cannot be measured', 'Change what is to be measured, and run again.');
  }
  return problem(
    'Something failed that should not',
    'This is a defect of Quern or of the graphics driver. Please report it with the text below.',
  );
}

function explainDownload(
  { url, status }: DownloadError,
  { isOnline }: Surroundings,
  problem: (title: string, ...advice: readonly string[]) => Problem,
): Problem {
  if (status === undefined && !isOnline && /^https?:/.test(url)) {
    return problem('You are offline', 'Made-up models need no network, nor does TinyChat.');
  }
  if (status === 401 || status === 403 || status === 404) {
    return problem(
      'There is no such model, or it is not open to all',
      'Check the name for a slip of the pen. What is gated or private cannot be measured here: take a made-up model of the same sizes.',
    );
  }
  return problem(
    'A file of the model could not be read',
    'Check the address and the connection; the server must allow requests from other pages (CORS).',
  );
}
