// Whom the daemon is to run as.

/** A user of this system. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Whom the daemon is to run as once it has what needs root. */
export type UserPlan =
  /** it is not root, and stays who it is */
  | { readonly kind: 'as-is' }
  | { readonly kind: 'become'; readonly user: SystemUser }
  /** root throughout: the configuration says so, or the user is missing */
  | { readonly kind: 'root'; readonly warning: string | undefined };
